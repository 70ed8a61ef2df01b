"""One remote job as its provider knows it, and the ledger entry that tells the truth about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

from daemon.core.observation import Json
from daemon.core.task import Status
from daemon.demo.plan import Fault, Script

PROMPT = "Add gentle motion to the scene"


class Entry(TypedDict):
    """What the ledger says of one job; times are wall-clock seconds.

    ``ended_at`` is the scripted end, whether it has come yet or not; ``told_at`` is when the end was first told.
    ``polls`` counts status requests, ``results`` requests for the result, ``billed`` those of them that cost money.
    """

    provider: str
    remote_id: str
    model: str
    created_at: float
    ended_at: float
    outcome: str
    has_ended: bool
    told_at: float | None
    polls: int
    results: int
    billed: int
    faults: dict[str, int]


@dataclass(slots=True, kw_only=True)
class Job:
    """One remote job; its status is a function of its script and the time."""

    provider: str
    id: str
    model: str
    script: Script
    created_at: float
    prompt: str = PROMPT
    told_at: float | None = None
    polls: int = 0
    results: int = 0
    billed: int = 0
    has_been_odd: bool = False
    faults: Counter[Fault] = field(default_factory=Counter)

    @property
    def started_at(self) -> float:
        """When it leaves the queue."""
        return self.created_at + self.script.queued

    @property
    def ended_at(self) -> float:
        """When it ends."""
        return self.started_at + self.script.running

    def status(self, now: float) -> Status:
        """Return where the job stands at *now*."""
        if now < self.started_at:
            return Status.QUEUED
        return Status.RUNNING if now < self.ended_at else self.script.outcome

    def progress(self, now: float) -> float:
        """Return the share of the work that is done, 0 to 1."""
        return min(1.0, max(0.0, (now - self.started_at) / self.script.running))

    def entry(self, now: float) -> Entry:
        """Return the job's line in the ledger."""
        return Entry(
            provider=self.provider,
            remote_id=self.id,
            model=self.model,
            created_at=self.created_at,
            ended_at=self.ended_at,
            outcome=self.script.outcome.value,
            has_ended=now >= self.ended_at,
            told_at=self.told_at,
            polls=self.polls,
            results=self.results,
            billed=self.billed,
            faults={fault.value: count for fault, count in self.faults.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer: bytes are sent as they are, all else as JSON."""

    body: Json | bytes
    status: int = 200
    content_type: str = "application/json"


class Dialect(Protocol):
    """How one provider speaks: its paths (aiohttp patterns under ``base_path``), words and bodies.

    ``schemes`` are the Authorization schemes it takes; ``gathers`` are its paths of results and contents, in the
    order in which they must be matched; ``bills`` says that a finished result request costs money.
    """

    name: str
    base_path: str
    schemes: tuple[str, ...]
    models: tuple[str, ...]
    submit: str
    statuses: tuple[str, ...]
    gathers: tuple[str, ...]
    may_cancel: bool
    bills: bool

    def new_id(self, dice_bits: int, model: str) -> str:
        """Return a fresh remote id made of 64 random bits."""
        ...

    def accepted(self, job: Job, base_url: str) -> Answer:
        """Answer the submit call."""
        ...

    def stands(self, job: Job, now: float, base_url: str) -> dict[str, Json]:
        """Return the body of the status answer."""
        ...

    def gathered(self, job: Job, now: float, base_url: str, path: str) -> Answer:
        """Answer one of the ``gathers``, told apart by its pattern *path*."""
        ...

    def refusal(self, status: int, message: str) -> Json:
        """Return the body of an answer that is about the request and not about the task."""
        ...
