"""The shapes of lanes and endpoints as the API shows them."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from daemon.api.models import When

_CLOSED = ConfigDict(extra="forbid", defer_build=True)


class DurationsShown(BaseModel):
    """How long tasks of one model take, in seconds, as learned from its last endings; no model: the whole lane."""

    model_config = _CLOSED
    model: str | None
    endings: int
    p10: float
    p50: float
    p90: float


class LaneShown(BaseModel):
    """One configured provider account."""

    model_config = _CLOSED
    name: str
    preset: str
    base_url: str
    state: str
    reason: str | None
    since_at: When | None
    resumes_at: When | None
    tasks: int
    in_flight: int
    rate: float | None
    burst: float | None
    concurrency: int
    min_gap: float
    max_gap: float | None
    deadline: float | None
    price: float
    typical: float
    polls: int
    misses: dict[str, int]
    last_miss: str | None
    last_miss_at: When | None
    unknown_words: list[str]
    reading_troubles: list[str]
    durations: list[DurationsShown]
    evidence: str


class LaneList(BaseModel):
    """Every lane, by name."""

    model_config = _CLOSED
    data: list[LaneShown]
    next: None


class EndpointShown(BaseModel):
    """One endpoint; keys are named by fingerprint, never shown."""

    model_config = _CLOSED
    name: str
    url: str
    source: str
    state: str
    reason: str | None
    since_at: When | None
    keys: list[str]
    timeout: float
    concurrency: int
    in_flight: int
    pending: int
    parked: int
    dead: int
    headers: list[str]
    events: list[str]
    providers: list[str]
    where: str | None
    rate: float | None
    schedule: list[float]
    disable_after: float
    has_ca: bool
    store_response: bool
    public_key: str | None
    rotation_ends_at: When | None


class EndpointRevealed(EndpointShown):
    """One endpoint, and the key that was made or taken just now; both are null where there is nothing to tell."""

    secret: str | None
    signing_key: str | None


class ReplayShown(BaseModel):
    """What a window of time holds: how many deliveries in each state, and when the first and last were made."""

    model_config = _CLOSED
    dry_run: bool
    count: int
    by_state: dict[str, int]
    oldest_at: When | None
    newest_at: When | None


class EndpointList(BaseModel):
    """Every endpoint, by name."""

    model_config = _CLOSED
    data: list[EndpointShown]
    next: None
