"""Downloads: brings the outputs that are to be kept onto the shelf, each lane's apart, the soonest to expire first.

Guarded here: a copy is told to nobody before it is recorded, and whatever becomes of it never touches the task's end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import assert_never

import structlog

from daemon.core.breaker import Breaker, Temper
from daemon.core.ids import TaskId
from daemon.core.lane import Lane, Pace
from daemon.core.observation import Ended, Json, Output
from daemon.core.origin import origin
from daemon.core.saving import (
    Abandoned,
    Copied,
    Fetched,
    Kept,
    Save,
    SaveBounds,
    SaveFault,
    SaveRecord,
    SaveState,
    SaveVerdict,
    TryAgain,
    Uncopied,
    saves_of,
    settle_save,
)
from daemon.core.task import Saving, Task
from daemon.engine.account import Account
from daemon.engine.clock import Clock, Dice
from daemon.engine.ports import Fetcher, Observer, Saves, SaveSettled, Shelf
from daemon.engine.pump import Pump
from daemon.engine.room import Room

TEMPER = Temper(failures=5, probe=5.0, probe_cap=300.0)
LIFE = 24 * 3600.0

log = structlog.get_logger()


class Downloads:
    """The saving half-sister of watcher and courier: one lane per provider account, driven by one pump.

    ``alert`` tells the operators; ``room`` says whether the disk may take more.
    """

    def __init__(
        self,
        *,
        saves: Saves,
        shelf: Shelf,
        fetcher: Fetcher,
        room: Room,
        alert: Callable[[str, Mapping[str, Json]], None],
        clock: Clock,
        dice: Dice,
        observer: Observer,
        max_in_flight: int,
    ) -> None:
        self.room = room
        self.pump = Pump("save", self.work, cap=max_in_flight, clock=clock, on_crash=observer.work_crashed)
        self._saves = saves
        self._shelf = shelf
        self._fetcher = fetcher
        self._alert = alert
        self._clock = clock
        self._dice = dice
        self._observer = observer
        self._accounts: Mapping[str, Account] = {}
        self._on_settled: Callable[[TaskId], Awaitable[None]] | None = None

    @property
    def bounds(self) -> SaveBounds:
        """The bounds in force."""
        return self.room.bounds

    def join(self, accounts: Mapping[str, Account], on_settled: Callable[[TaskId], Awaitable[None]]) -> None:
        """Fetch with the keys of *accounts*; *on_settled* hears of every task one of whose outputs waits no more."""
        self._accounts, self._on_settled = accounts, on_settled

    def saving(self, task: Task) -> Saving:
        """Return what is wanted of the outputs of *task*: as its registration says, else as its lane does."""
        account = self._accounts.get(task.provider)
        lanes = Saving.NEVER if account is None else account.saving
        return lanes if task.saving is None else task.saving

    def owed(self, task: Task, outputs: Sequence[Output]) -> tuple[Save, ...]:
        """Return what is owed of the *outputs* of *task*; it is committed with them and then taken."""
        return () if self.saving(task) is Saving.NEVER else saves_of(task.id, task.provider, outputs)

    def take(self, saves: Sequence[Save]) -> None:
        """Fetch what has just been committed, as soon as its lane allows."""
        for save in saves:
            self.plan(save, 0.0)

    def plan(self, save: Save, due: float) -> None:
        """Put a pending save on its lane's agenda for monotonic *due*; of those that are due, a link that ends sooner
        goes first, one that tells no end as if it lived for a day.
        """
        expires = self._clock.now() + LIFE if save.expires_at is None else save.expires_at + self._clock.shift
        self.pump.plan(self._lane(save.lane), save.key, due, expires)

    async def ahead(self, task_id: TaskId, ended: Ended, saves: Sequence[Save]) -> list[SaveRecord]:
        """Want *saves* before *ended* is told; return how they stand, or nothing where the task is not live."""
        standing = await self._saves.hold(task_id, ended, saves, self._clock.now_at())
        for save, one in zip(saves, standing, strict=bool(standing)):
            lane = self._lane(save.lane)
            if one.state is SaveState.PENDING and save.key not in lane.agenda and save.key not in lane.running:
                self.plan(save, 0.0)
        return standing

    async def witness(self, task_id: TaskId, ended: Ended) -> None:
        """Record *ended*, whose outputs are still to be told."""
        await self._saves.witness(task_id, ended)

    async def work(self, key: str) -> float | None:
        """Make one try of one save; return when the next is due, or None where it is settled."""
        task_id, _, number = key.rpartition("/")
        save = await self._saves.pending(TaskId(task_id), int(number))
        if save is None:
            self.room.leave(key)
            return None
        fetched = await self._try(save)
        verdict = settle_save(save, fetched, self.bounds.schedule, roll=self._dice.roll())
        if isinstance(verdict, Abandoned):  # before it is recorded: after it nobody would look for what had gathered
            await self._shelf.drop_draft(save.task_id, save.number)
        settled = _settled(save, fetched, verdict, self._clock.now_at())
        if not await self._saves.settle(settled):
            self.room.leave(key)
            await self._shelf.discard([save.task_id])
            return None
        self._tell(save, fetched, verdict)
        return await self._follow(save, verdict)

    async def _try(self, save: Save) -> Fetched:
        account = self._accounts.get(save.lane)
        if save.needs_auth and (account is None or not account.is_configured):
            detail = "it needs the key of a lane that is not configured"
            return Uncopied(fault=SaveFault.UNCONFIGURED, detail=detail, seconds=0.0)
        await self.room.look(self._saves.used)
        fetched = await self._fetcher.fetch(
            save,
            await self._shelf.draft(save.task_id, save.number),
            bounds=self.bounds,
            home=_home(account),
            access=_keyless if account is None else account.provider.access,
            grows=self.room.of(save.key),
        )
        if isinstance(fetched, Uncopied):
            self.room.keep(save.key, fetched.left)
        elif not await self._shelf.adopt(save.task_id, save.number):
            return Uncopied(fault=SaveFault.NO_ROOM, detail="its draft is gone from the disk", seconds=fetched.seconds)
        return fetched

    def _tell(self, save: Save, fetched: Fetched, verdict: SaveVerdict) -> None:
        size = fetched.size if isinstance(fetched, Copied) else 0
        result = "saved" if isinstance(fetched, Copied) else fetched.fault.value
        self._observer.saved(save.lane, result, size=size, seconds=fetched.seconds)
        facts = {"task": save.task_id, "output": save.number, "lane": save.lane, "attempt": save.tries + 1}
        lane, now = self._lane(save.lane), self._clock.now()
        if isinstance(fetched, Copied):
            lane.went_well(save.key)
            log.info("output.saved", **facts, bytes=fetched.size, seconds=round(fetched.seconds, 3))
            return
        if fetched.blames_server:
            lane.went_badly(save.key, now)
        else:
            lane.went_well(save.key)
        retry_in = verdict.delay if isinstance(verdict, TryAgain) else None
        log.warning("output.unsaved", **facts, fault=fetched.fault, why=fetched.detail, retry_in=retry_in)

    async def _follow(self, save: Save, verdict: SaveVerdict) -> float | None:
        match verdict:
            case Kept():
                self.room.settle(save.key)
                await self._wake(save.task_id)
                return None
            case TryAgain():
                return self._clock.now() + verdict.delay
            case Abandoned():
                self.room.leave(save.key)
                self._give_up(save, verdict.reason)
                await self._wake(save.task_id)
                return None
            case _:
                assert_never(verdict)

    async def _wake(self, task_id: TaskId) -> None:
        if self._on_settled is not None:
            await self._on_settled(task_id)

    def _give_up(self, save: Save, reason: str) -> None:
        log.warning("output.failed", task=save.task_id, output=save.number, lane=save.lane, why=reason)
        facts: dict[str, Json] = {
            "task_id": save.task_id,
            "output": save.number,
            "provider": save.lane,
            "reason": reason,
        }
        self._alert("output.failed", facts)

    def _lane(self, name: str) -> Lane:
        lane, slots = self.pump.lanes.get(name), max(1, self.pump.cap // 2)
        if lane is None:
            lane = self.pump.add(Lane(name=name, slots=slots, pace=Pace(rate=inf), breaker=Breaker(TEMPER)))
        lane.slots = slots
        return lane


def _settled(save: Save, fetched: Fetched, verdict: SaveVerdict, now_at: float) -> SaveSettled:
    due_at = now_at + verdict.delay if isinstance(verdict, TryAgain) else None
    return SaveSettled(save=replace(save, tries=save.tries + 1), record=_left(save, fetched, verdict), due_at=due_at)


def _left(save: Save, fetched: Fetched, verdict: SaveVerdict) -> SaveRecord:
    if isinstance(verdict, Abandoned):
        return SaveRecord(number=save.number, state=SaveState.FAILED, reason=verdict.reason)
    if isinstance(fetched, Uncopied):
        return SaveRecord(number=save.number, state=SaveState.PENDING, reason=fetched.shown)
    return SaveRecord(
        number=save.number,
        state=SaveState.SAVED,
        size=fetched.size,
        sha256=fetched.sha256,
        content_type=fetched.content_type,
    )


def _home(account: Account | None) -> str:
    try:
        return "" if account is None else origin(account.facts.base_url)
    except ValueError:
        return ""


async def _keyless(_url: str) -> None:
    return None
