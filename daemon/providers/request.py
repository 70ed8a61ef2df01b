"""Requests: what is sent for a task, and where to.

The rule guarded here is that the key's header leaves this module only beside a URL on an origin of the definition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple
from uuid import uuid4

from yarl import URL

from daemon.core.errors import HostNotAllowed
from daemon.core.task import Params, Task
from daemon.providers.account import Account
from daemon.providers.definition_request import Call
from daemon.providers.filling import filled_header, filled_query, filled_tree, names_in
from daemon.providers.origin import joined, origin_of
from daemon.providers.template import Template, Unbuildable, plain_path
from daemon.providers.times import told_times

STATUS_URL_LIMIT = 4096
URLS_KEPT = 4096
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to send but for a credential that does not last; ``headers`` hold a key that does."""

    method: str
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


class Target(NamedTuple):
    """Where a plain request goes: any URL on its origin, and its path and query as they are sent."""

    home: URL
    text: str


@dataclass(frozen=True)
class Requests:
    """Builds the requests of one account; *now_at* answers wall-clock seconds."""

    account: Account
    now_at: Callable[[], float]

    def direct(self, task: Task) -> Target | None:
        """Return where to send a status request of which nothing else depends on the task: a GET with
        ``direct_headers``; None for any other, and where it cannot be built.
        """
        if self.direct_headers is None:
            return None
        try:
            if task.status_url is not None:
                return self._known_urls(task.status_url)
            call, values = self.account.definition.status, self._values(task)
            target = call.request.filled(values)
            query = filled_query(call.query, values) if call.query else ""
        except Unbuildable:
            return None
        mark = "" if not query else "&" if "?" in target else "?"
        return Target(self.account.definition.base, f"{self._base_path}{target}{mark}{query}")

    @cached_property
    def direct_headers(self) -> Mapping[str, str] | None:
        """The headers of every status request; None where they vary, or the request has a body or could be the one
        that bills.
        """
        definition = self.account.definition
        call, result = definition.status, definition.result
        if (
            call.request.method != "GET"
            or call.body is not None
            or any(names_in({**definition.headers, **call.headers}))
        ):
            return None
        could_bill = result is not None and result.when == "asked"
        if could_bill and any(call.request.part(name).is_raw for name in call.request.names):
            return None
        return {**self.account.headers, **call.headers}

    def _status_url(self, text: str) -> URL:
        """Resolve a status URL that may be asked; raise Unbuildable where it may not."""
        try:
            url = self.allowed_url(text)
        except HostNotAllowed as refusal:
            raise Unbuildable(refusal.detail) from refusal
        if self.is_result(url):
            raise Unbuildable("status_url is the result request, which is sent only when it is asked for")
        return url

    @cached_property
    def _known_urls(self) -> Callable[[str], Target]:
        """Where a status URL leads; the last few thousand are kept, since each is asked time and again."""

        def target(text: str) -> Target:
            url = self._status_url(text)
            return Target(url, url.raw_path_qs)

        return lru_cache(URLS_KEPT)(target)

    @cached_property
    def _base_path(self) -> str:
        return self.account.definition.base.raw_path.removesuffix("/")

    def status(self, task: Task) -> Prepared:
        """Build the status request: to the task's own status URL, or by the template; may raise Unbuildable."""
        spec = self.account.definition.status
        if task.status_url is None:
            built = self.built(spec, self._values(task))
            if any(spec.request.part(name).is_raw for name in spec.request.names) and self.is_result(built.url):
                raise Unbuildable("this id makes the status request the result request, which is sent only when asked")
            return built
        return self.built(spec, self._values(task), url=self._status_url(task.status_url))

    def result(self, task: Task, found: Mapping[str, str] = _NOTHING) -> Prepared:
        """Build the result request, with the variables *found* in the status answer; may raise Unbuildable."""
        spec = self.account.definition.result
        assert spec is not None
        return self.built(spec, {**self._values(task), **found})

    def fallback(self, task: Task) -> URL | None:
        """Return the URL of the named download, None where there is none or a variable is missing."""
        spec = self.account.definition.fallback
        if spec is None:
            return None
        try:
            return self.url(spec.url, task.remote_id, task.model, task.params)
        except Unbuildable:
            return None

    def built(
        self, call: Call, values: Mapping[str, str], many: Sequence[str] = (), *, url: URL | None = None
    ) -> Prepared:
        """Build the request of *call*, to *url* where the task brought its own; may raise Unbuildable."""
        values = {**values, **told_times(call.times, self.now_at()), "uuid": str(uuid4())}
        if url is None:
            query = filled_query(call.query, values, many)
            target = call.request.filled(values)
            mark = "&" if "?" in target else "?"
            whole = f"{self.account.definition.base_text}{target}{mark if query else ''}{query}"
            url = URL(whole, encoded=True)
        headers = {**self.account.headers, **self._told_headers(call, values)}
        if call.body is None:
            return Prepared(call.request.method, url, headers)
        try:
            body = json.dumps(filled_tree(call.body, values, many), ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as failure:
            raise Unbuildable("a variable is not valid Unicode") from failure
        return Prepared(call.request.method, url, {"Content-Type": "application/json", **headers}, body)

    def is_result(self, url: URL) -> bool:
        """Whether *url* is that of a result request which is sent only when asked for, in whatever spelling."""
        definition = self.account.definition
        if definition.result is None or definition.result.when != "asked":
            return False
        result, status = definition.result.request, definition.status.request
        path = plain_path(url.raw_path).removeprefix(plain_path(definition.base.raw_path))
        if result.method != status.method or not result.matches(path):
            return False
        if not status.matches(path) or result.weight > status.weight:
            return True
        names = result.query_names | definition.result.query.keys()
        return bool(names) and names <= set(url.query)

    def allowed_url(self, text: str) -> URL:
        """Resolve a status URL, absolute or relative to ``base_url``; raise HostNotAllowed off the allowed origins.

        A key in its query, where keys travel there, is taken out: the account's own goes with the request.
        """
        definition = self.account.definition
        url = joined(definition.base, text) if len(text) <= STATUS_URL_LIMIT else None
        if url is None or not definition.allowed.covers(url):
            origin = None if url is None else origin_of(url)
            where = f"lies on {origin}" if origin else "is no http(s) URL without user-info"
            raise HostNotAllowed(
                f"status_url {where}; the key of {self.account.name} may be sent to: {definition.allowed}"
            )
        url = url.with_fragment(None)
        if definition.auth.scheme == "query" and definition.auth.parameter in url.query:
            return url.without_query_params(definition.auth.parameter)
        return url

    def url(self, template: Template, remote_id: str, model: str | None, params: Params) -> URL:
        """Return the absolute URL of *template* for a task; may raise Unbuildable."""
        target = template.filled(self.values(remote_id, model, params))
        return URL(f"{self.account.definition.base_text}{target}", encoded=True)

    def values(self, remote_id: str, model: str | None, params: Params) -> dict[str, str]:
        """Return the variables of a task: the definition's defaults, its params, its model, its id."""
        values = {**self.account.definition.variables, **dict(params)}
        if model is not None:
            values["model"] = model
        values["id"] = remote_id
        return values

    def read_back(self, url: URL) -> dict[str, str]:
        """Read the variables of the status request back from a *url* of its path; empty where it has another."""
        definition = self.account.definition
        path = url.raw_path.removeprefix(definition.base.raw_path.rstrip("/"))
        call = definition.status
        if not call.request.matches(path):
            return {}
        texts = {**dict(call.request.query_pairs), **call.query}
        slots = {name: next(names_in(text), "") for name, text in texts.items() if isinstance(text, str)}
        asked = {
            slot: url.query[name] for name, slot in slots.items() if texts[name] == f"{{{slot}}}" and name in url.query
        }
        return {**call.request.variables_in(path), **asked}

    def _values(self, task: Task) -> dict[str, str]:
        return self.values(task.remote_id, task.model, task.params)

    def _told_headers(self, call: Call, values: Mapping[str, str]) -> dict[str, str]:
        shared = {name: text for name, text in self.account.definition.headers.items() if any(names_in(text))}
        return {name: filled_header(name, text, values) for name, text in {**shared, **call.headers}.items()}
