"""Provider accounts: from the configuration's tables to lanes at run time, at start and on a reload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from daemon.config import Settings
from daemon.core.breaker import Breaker, Temper, Trouble
from daemon.core.cadence import Bounds, LearnedCadence
from daemon.core.errors import NoResult, UnknownProvider
from daemon.core.experience import AtLeisure, always
from daemon.core.ids import TaskId
from daemon.core.judge import HINT_CAP, Patience
from daemon.core.lane import Lane, Pace
from daemon.core.observation import Missed, Observation
from daemon.core.record import Admission, Application
from daemon.core.saving import Access, saving_of
from daemon.core.task import Miss, Task
from daemon.engine.account import Account, AccountFacts
from daemon.engine.ports import Provider
from daemon.engine.watcher import Watcher
from daemon.providers.account import Account as Configured
from daemon.providers.catalog import Catalog

log = structlog.get_logger()


@dataclass(slots=True)
class Recipe:
    """Makes accounts: how a configured account becomes a provider, what marks its key, when there is time to learn."""

    connect: Callable[[Configured], Provider]
    key_mark: Callable[[str, str], str]
    price: float
    at_leisure: AtLeisure = always

    def account(self, configured: Configured) -> Account:
        """Return the account that *configured* describes, its lane empty."""
        limits = configured.definition.limits
        provider = self.connect(configured)
        typical = configured.definition.typical.duration
        facts = AccountFacts(
            preset=configured.preset,
            base_url=configured.definition.base_text,
            key_mark=self.key_mark(configured.name, configured.api_key),
            concurrency=limits.concurrency,
            rate=limits.rate,
            burst=limits.burst,
            min_gap=limits.min_gap,
            max_gap=limits.longest_gap,
            deadline=limits.deadline,
            typical=typical,
            price=self.price,
            evidence=configured.definition.evidence,
            recheck_for=limits.recheck_for,
            learns_deadline=not configured.sets_deadline,
        )
        return Account(
            lane=Lane(
                name=configured.name,
                slots=limits.concurrency,
                pace=Pace(rate=limits.rate, burst=limits.burst),
                breaker=Breaker(Temper()),
                party=provider.party,
            ),
            provider=provider,
            cadence=LearnedCadence(
                typical=typical,
                price=self.price,
                bounds=Bounds(min_gap=limits.min_gap, max_gap=limits.longest_gap, retention=limits.retention),
                at_leisure=self.at_leisure,
            ),
            patience=Patience(
                grace=limits.not_found_grace, backoff=limits.min_gap, hint_cap=min(HINT_CAP, limits.retention / 2)
            ),
            facts=facts,
            saving=saving_of(configured.definition.save_outputs),
        )


def configured_accounts(settings: Settings) -> dict[str, Configured]:
    """Read every lane's table against the catalog; raise DefinitionError with file, table and reason."""
    catalog = Catalog(settings.providers_dir)
    return {name: catalog.account(name, table) for name, table in settings.providers.items()}


def adopt(watcher: Watcher, accounts: Mapping[str, Account], *, now: float) -> None:
    """Make *accounts* those of the watcher: new ones added, known ones brought up to date, others set aside.

    A lane keeps its agenda over a change. Tasks of a lane that is set aside stay on the watchlist, unpolled.
    """
    for name, fresh in accounts.items():
        known = watcher.accounts.get(name)
        if known is None:
            watcher.accounts[name] = fresh
            watcher.pump.add(fresh.lane)
        else:
            _renew(known, fresh, now)
            watcher.pump.wake(known.lane)
    for name, known in watcher.accounts.items():
        if name not in accounts and known.is_configured:
            set_aside(known)


def set_aside(account: Account) -> None:
    """Stop polling a lane that is no longer configured."""
    account.is_configured = False
    account.lane.trip(Trouble.DISABLED, 0.0)
    log.warning("lane.unconfigured", lane=account.name, tasks=len(account.lane))


def orphanage(name: str) -> Account:
    """Return an account for tasks on disk whose lane the configuration no longer has."""
    facts = AccountFacts(
        preset="",
        base_url="",
        key_mark="",
        concurrency=1,
        rate=1.0,
        burst=1.0,
        min_gap=60.0,
        max_gap=60.0,
        deadline=3600.0,
        typical=60.0,
        price=0.15,
    )
    account = Account(
        lane=Lane(name=name, slots=1, pace=Pace(rate=1.0)),
        provider=Unconfigured(),
        cadence=LearnedCadence(typical=60.0, price=0.15, bounds=Bounds(min_gap=60.0, max_gap=60.0, retention=120.0)),
        patience=Patience(),
        facts=facts,
    )
    set_aside(account)
    return account


class Unconfigured:
    """The provider of a lane that is no longer configured: it asks nobody."""

    unknown_words: tuple[str, ...] = ()
    reading_troubles: tuple[str, ...] = ()
    party: int = 1
    bills: bool = False

    def admit(self, application: Application) -> Admission:
        """Refuse."""
        raise UnknownProvider(f'no provider "{application.provider}" is configured')

    async def poll(self, task: Task) -> Observation:
        """Bring no news."""
        return Missed(miss=Miss.UNCONFIGURED, detail=f'no provider "{task.provider}" is configured')

    async def poll_many(self, tasks: Sequence[Task]) -> dict[TaskId, Observation]:
        """Bring no news of any."""
        return {task.id: await self.poll(task) for task in tasks}

    async def result(self, task: Task) -> Observation:
        """Refuse."""
        raise NoResult(f'no provider "{task.provider}" is configured any more')

    async def access(self, _url: str) -> Access | None:
        """Have no key."""
        return None


def _renew(known: Account, fresh: Account, now: float) -> None:
    has_new_key = known.facts.key_mark != fresh.facts.key_mark
    was_aside = not known.is_configured
    fresh.cadence.adopt(known.cadence)
    known.provider, known.cadence, known.patience = fresh.provider, fresh.cadence, fresh.patience
    known.facts, known.saving, known.is_configured = fresh.facts, fresh.saving, True
    known.lane.slots, known.lane.party = fresh.lane.slots, fresh.lane.party
    known.lane.pace.change(fresh.lane.pace.rate, fresh.lane.pace.burst, now)
    if was_aside:
        known.resume("the lane is configured again")
    elif has_new_key and known.is_parked:
        known.resume("a new key")
