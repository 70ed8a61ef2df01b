"""The settings: every group, every default, every bound, frozen.

A setting's description is its one-line comment in ``config.example.toml``; a test holds the two together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from daemon.config.kinds import (
    Authorities,
    Count,
    EgressEntry,
    EventType,
    FilePath,
    HeaderName,
    HeaderValue,
    HookUrl,
    Name,
    Number,
    Predicate,
    PrivateKey,
    ProxyUrl,
    Schedule,
    SigningSecret,
    Size,
    Span,
)
from daemon.config.listening import TcpListener, listener
from daemon.core import span
from daemon.core.endpoint import DISABLE_AFTER
from daemon.core.saving import SaveBounds

DAY = 86400.0
SCHEDULE = tuple(map(span.seconds, ("5s", "30s", "2m", "10m", "30m", "2h", "6h", "12h", "24h", "24h")))


def _listen(text: str) -> str:
    listener(text)
    return text


class Group(BaseModel):
    """One table of the config file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSettings(Group):
    """``[server]``: the local API."""

    listen: Annotated[tuple[Annotated[str, AfterValidator(_listen)], ...], Field(max_length=32)] = ("127.0.0.1:8710",)
    auth: Literal["token", "none"] = "token"
    open_metrics: bool = False
    max_connections: Count = 256
    i_know_this_is_public: bool = False

    @model_validator(mode="after")
    def _is_guarded(self) -> Self:
        for text in self.listen:
            where = listener(text)
            if not isinstance(where, TcpListener) or where.is_loopback:
                continue
            if self.auth == "none":
                raise ValueError(f'listen has "{text}", but auth = "none" is for loopback and unix sockets only')
            if not self.i_know_this_is_public:
                raise ValueError(f'listen has "{text}", which others can reach: set i_know_this_is_public = true too')
        return self


class StoreSettings(Group):
    """``[store]``: the database; ``load`` replaces the default by the state directory of the environment."""

    path: FilePath = Path("~/.local/state/pollhook/pollhook.db")


class PollingSettings(Group):
    """``[polling]``: all lanes together."""

    max_tasks: Count = 200_000
    max_in_flight: Annotated[Count, Field(le=100_000)] = 1000
    price: Annotated[Number, Field(le=3600)] = 0.15


class DeliverySettings(Group):
    """``[delivery]``: all endpoints together, and what an endpoint does not say itself."""

    max_in_flight: Annotated[Count, Field(le=100_000)] = 200
    timeout: Annotated[Span, Field(le=600)] = 20.0
    schedule: Schedule = SCHEDULE
    concurrency: Annotated[Count, Field(le=10_000)] = 10
    disable_after: Span = DISABLE_AFTER


class OutputSettings(Group):
    """``[outputs]``: the copies of finished outputs that ``save_outputs`` asks for."""

    max_bytes: Size = SaveBounds().max_bytes
    max_total: Size = SaveBounds().max_total
    max_in_flight: Annotated[Count, Field(le=1000)] = 8
    timeout: Annotated[Span, Field(le=86_400)] = SaveBounds().timeout
    schedule: Schedule = SaveBounds().schedule


class EgressSettings(Group):
    """``[egress]``: loopback and private addresses that URLs from the API may stand on, and the way out."""

    allow: Annotated[tuple[EgressEntry, ...], Field(max_length=1000)] = ()
    proxy: ProxyUrl | None = None
    proxy_resolves: bool = False

    @model_validator(mode="after")
    def _knows_who_judges(self) -> Self:
        if self.proxy is not None and not self.proxy_resolves:
            raise ValueError(
                "proxy leaves it to the proxy to resolve names and to judge their addresses: set proxy_resolves = true"
                " too if it does (smokescreen does), or leave proxy out"
            )
        return self


class RetentionSettings(Group):
    """``[retention]``: how long what is settled stays on disk."""

    tasks: Span = 30 * DAY
    events: Span = 30 * DAY
    attempts: Span = 7 * DAY


class LogSettings(Group):
    """``[log]``: what is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class ServiceSettings(Group):
    """``[service]``: the process."""

    drain_grace: Annotated[Span, Field(le=3600)] = 20.0


class EndpointSettings(Group):
    """``[endpoints.NAME]``: a destination that the operator typed, so it may stand on a private address."""

    url: HookUrl
    secret: SigningSecret | None = None
    previous_secrets: Annotated[tuple[SigningSecret, ...], Field(max_length=2)] = ()
    signing_key: PrivateKey | None = None
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=32)] = Field(default_factory=dict)
    timeout: Annotated[Span, Field(le=600)] | None = None
    concurrency: Annotated[Count, Field(le=10_000)] | None = None
    rate: Annotated[Number, Field(le=100_000)] | None = None
    schedule: Schedule | None = None
    events: Annotated[tuple[EventType, ...], Field(max_length=64)] = ()
    providers: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    where: Predicate | None = None
    disable_after: Span | None = None
    store_response: bool = False
    ca: Authorities | None = None


class Settings(Group):
    """All settings; ``Settings()`` is the defaults, whatever the environment holds: ``load`` reads the sources.

    ``providers`` are free tables, one per lane, that the provider catalog validates; they hold keys in plain text
    and therefore show in no repr.
    """

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    polling: PollingSettings = PollingSettings()
    delivery: DeliverySettings = DeliverySettings()
    outputs: OutputSettings = OutputSettings()
    egress: EgressSettings = EgressSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    service: ServiceSettings = ServiceSettings()
    providers_dir: FilePath | None = None
    providers: dict[Name, dict[str, object]] = Field(default_factory=dict, repr=False)
    endpoints: dict[Name, EndpointSettings] = Field(default_factory=dict)
