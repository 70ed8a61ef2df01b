"""Saving an output: what is wanted, what one try at its link brought, and what follows from that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from daemon.core.delivery import JITTER_FLOOR
from daemon.core.ids import TaskId
from daemon.core.observation import Output
from daemon.core.task import Saving

RETRY_AFTER_CAP = 3600.0
_OURS = "/v1/tasks/"


def saving_of(wish: bool | str) -> Saving:  # noqa: FBT001 (the setting's own form: true, false or "before_event")
    """Return what ``save_outputs = true | false | "before_event"`` means."""
    if wish is True or wish is False:
        return Saving.AFTERWARDS if wish else Saving.NEVER
    return Saving(wish)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to GET a link with the key: the URL as it is sent, and the headers; neither shows in a text form."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class SaveState(StrEnum):
    """Where the copy of an output stands; ``pending`` has a due time, ``failed`` a reason."""

    PENDING = "pending"
    SAVED = "saved"
    FAILED = "failed"


NOT_ALLOWED = "the link leads where the egress rules do not let it; the operator finds why in the log"


class SaveFault(StrEnum):
    """Why a try at an output's link brought no copy; the closed list that logs and metrics use."""

    HTTP = "http_status"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    PROTOCOL = "protocol"
    NOT_THE_OUTPUT = "not_the_output"
    TOO_LARGE = "too_large"
    NO_ROOM = "no_room"
    NOT_ALLOWED = "target_not_allowed"
    UNFETCHABLE = "unfetchable"
    UNCONFIGURED = "unconfigured"


_FINAL = frozenset({SaveFault.TOO_LARGE, SaveFault.UNFETCHABLE})
_BLAMES_SERVER = frozenset({SaveFault.TIMEOUT, SaveFault.STALLED, SaveFault.DNS, SaveFault.CONNECT, SaveFault.TLS})


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveBounds:
    """Bounds of saving: bytes of one output and of all together, seconds of one try, and the waits after tries."""

    max_bytes: int = 2 * 2**30
    max_total: int = 50 * 2**30
    timeout: float = 900.0
    schedule: tuple[float, ...] = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """One output that is to be fetched; ``number`` is its place among the task's outputs, ``tries`` those made."""

    task_id: TaskId
    number: int
    lane: str
    url: str
    kind: str
    needs_auth: bool
    expires_at: float | None
    tries: int = 0

    @property
    def key(self) -> str:
        """The name under which it stands on an agenda."""
        return f"{self.task_id}/{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveRecord:
    """How the copy of one output stands; what describes the bytes is set once they are saved."""

    number: int
    state: SaveState
    size: int | None = None
    sha256: str | None = None
    content_type: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The output's bytes lie whole and durable in its draft."""

    size: int
    sha256: str
    content_type: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncopied:
    """They do not, and why; ``detail`` is for the log, without query or key. ``retry_after`` is a wish, unclamped.

    ``left`` is how many bytes its draft holds on the disk.
    """

    fault: SaveFault
    detail: str
    seconds: float
    http_status: int | None = None
    retry_after: float | None = None
    left: int = 0

    @property
    def shown(self) -> str:
        """What callers may read of it: of a target that is refused nothing, or links would map this network."""
        return NOT_ALLOWED if self.fault is SaveFault.NOT_ALLOWED else self.detail

    @property
    def blames_server(self) -> bool:
        """Whether every other output there would have met the same."""
        return self.fault in _BLAMES_SERVER or (self.http_status or 0) in (408, 425, 429) or self._is_server_error

    @property
    def _is_server_error(self) -> bool:
        return self.http_status is not None and self.http_status >= 500


Fetched: TypeAlias = Copied | Uncopied


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Done: Pollhook has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    """Try again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """Failed for good, with a reason."""

    reason: str


SaveVerdict: TypeAlias = Kept | TryAgain | Abandoned


def saves_of(task_id: TaskId, lane: str, outputs: Sequence[Output]) -> tuple[Save, ...]:
    """Return what saving *outputs* takes; those whose bytes Pollhook holds already need nothing."""
    return tuple(
        Save(
            task_id=task_id,
            number=number,
            lane=lane,
            url=output.url,
            kind=output.kind,
            needs_auth=output.needs_auth,
            expires_at=output.expires_at,
        )
        for number, output in enumerate(outputs)
        if output.inline is None and not output.url.startswith(_OURS)
    )


def settle_save(save: Save, fetched: Fetched, schedule: Sequence[float], *, roll: float) -> SaveVerdict:
    """Decide what follows from *fetched*, the answer to try number ``save.tries`` + 1.

    *schedule* holds the seconds between tries after the first; *roll* in [0, 1) draws each wait from the whole of what
    lies between its floor, half the slot, and the slot. A Retry-After lengthens it, up to an hour. What no try can mend
    is given up at once.
    """
    if isinstance(fetched, Copied):
        return Kept()
    if fetched.fault in _FINAL:
        return Abandoned(reason=fetched.shown)
    if save.tries >= len(schedule):
        return Abandoned(reason=f"no success in {save.tries + 1} tries, the last: {fetched.shown}")
    slot = schedule[save.tries] * (JITTER_FLOOR + (1 - JITTER_FLOOR) * roll)
    return TryAgain(delay=max(slot, min(max(fetched.retry_after or 0.0, 0.0), RETRY_AFTER_CAP)))
