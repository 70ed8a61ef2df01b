"""An account: a definition with one lane's settings and key in it, all that is needed to run the lane."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from daemon.providers.definition import Definition
from daemon.providers.filling import names_in

SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Account:
    """One configured provider account; its text form holds no key.

    ``name`` is the lane's, ``preset`` the definition's. The limits are ``definition.limits``, the prior of the
    cadence ``definition.typical``; both already carry what the lane's table overrides.
    """

    name: str
    preset: str
    definition: Definition
    api_key: str = field(default="", repr=False)
    sets_deadline: bool = False

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The constant headers of every request, a key that never changes among them; ``Credential`` has the rest."""
        constant = {name: text for name, text in self.definition.headers.items() if not any(names_in(text))}
        return {"Accept": "application/json", "Accept-Encoding": "identity", **constant, **self._credential}

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must never leave: the key, and what it is made of; other spellings are found by the mask.

        Texts of less than 8 characters, which no provider issues, are left out: masking them would garble answers in
        which they stand by chance.
        """
        told = [self.api_key]
        if self.definition.auth.scheme in ("basic", "jwt-hs256"):
            told = [self._basic, self.api_key, self.api_key.partition(":")[2]]
        return tuple(text for text in told if len(text) >= SHORTEST_SECRET)

    @property
    def _basic(self) -> str:
        return b64encode(self.api_key.encode()).decode("ascii")

    @property
    def _credential(self) -> dict[str, str]:
        auth = self.definition.auth
        if auth.scheme == "basic":
            return {auth.header: f"Basic {self._basic}"}
        if auth.scheme == "header":
            return {auth.header: auth.format.replace("{key}", self.api_key)}
        return {}
