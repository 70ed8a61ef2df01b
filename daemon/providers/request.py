"""Requests: what is sent for a task, and where to.

The rule guarded here is that the key's header leaves this module only beside a URL on an origin of the definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yarl import URL

from daemon.core.errors import HostNotAllowed
from daemon.core.task import Params, Task
from daemon.providers.account import Account
from daemon.providers.origin import joined, origin_of
from daemon.providers.template import Template, Unbuildable, plain_path

STATUS_URL_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request ready to send; ``headers`` are shared by all requests of the account and hold its key."""

    method: str
    url: URL
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requests:
    """Builds the requests of one account."""

    account: Account

    def status(self, task: Task) -> Prepared:
        """Build the status request: to the task's own status URL, or by the template; may raise Unbuildable."""
        spec = self.account.definition.status
        if task.status_url is None:
            return self._by(spec.request, task)
        try:
            url = self.allowed_url(task.status_url)
        except HostNotAllowed as refusal:
            raise Unbuildable(refusal.detail) from refusal
        if self.is_result(url):
            raise Unbuildable("status_url is the result request, which is sent only when it is asked for")
        return Prepared(spec.request.method, url, self.account.headers)

    def result(self, task: Task) -> Prepared:
        """Build the result request; may raise Unbuildable."""
        spec = self.account.definition.result
        assert spec is not None
        return self._by(spec.request, task)

    def fallback(self, task: Task) -> URL | None:
        """Return the URL of the named download, None where there is none or a variable is missing."""
        spec = self.account.definition.fallback
        if spec is None:
            return None
        try:
            return self.url(spec.url, task.remote_id, task.model, task.params)
        except Unbuildable:
            return None

    def is_result(self, url: URL) -> bool:
        """Whether *url* is that of a result request which is sent only when asked for, in whatever spelling."""
        definition = self.account.definition
        if definition.result is None or definition.result.when != "asked":
            return False
        result, status = definition.result.request, definition.status.request
        path = plain_path(url.raw_path).removeprefix(plain_path(definition.base.raw_path))
        if not result.matches(path):
            return False
        if not status.matches(path) or result.weight > status.weight:
            return True
        return bool(result.query_names) and result.query_names <= set(url.query)

    def allowed_url(self, text: str) -> URL:
        """Resolve a status URL, absolute or relative to ``base_url``; raise HostNotAllowed off the allowed origins."""
        definition = self.account.definition
        url = joined(definition.base, text) if len(text) <= STATUS_URL_LIMIT else None
        if url is None or not definition.allowed.covers(url):
            origin = None if url is None else origin_of(url)
            where = f"lies on {origin}" if origin else "is no http(s) URL without user-info"
            raise HostNotAllowed(
                f"status_url {where}; the key of {self.account.name} may be sent to: {definition.allowed}"
            )
        return url.with_fragment(None)

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

    def _by(self, template: Template, task: Task) -> Prepared:
        url = self.url(template, task.remote_id, task.model, task.params)
        return Prepared(template.method, url, self.account.headers)
