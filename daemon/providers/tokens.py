"""Tokens: where short-lived credentials come from: minted from a key pair, read from a file, printed by a command.

The rule guarded here is that a token is never shown: what a command prints, even of its errors, goes nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import re
import signal
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.providers.filling import Scalar

TOKEN_LIMIT = 16 * 1024
COMMAND_WITHIN = 10.0
BEFORE_EXPIRY = 60.0
FILE_KEPT = 60.0
FILE_CHECKED = 1.0
_FIT = re.compile(r"[\x21-\x7e]+")
_INSTANT = re.compile(r"\{now([+-]\d+)?\}")


class NoToken(Exception):
    """There is no token; the text says why, without any."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the wall-clock seconds until which it may be sent."""

    text: str
    until: float

    def __repr__(self) -> str:
        return f"Token(until={self.until})"


def minted(key: str, claims: Mapping[str, Scalar], now_at: float) -> Token:
    """Return a JWT signed with HS256 (RFC 7519) by the key ``ACCESS:SECRET``, to be used until 60 s before ``exp``."""
    access, _, secret = key.partition(":")
    told = {name: _claim(claim, access, int(now_at)) for name, claim in claims.items()}
    signed = f"{_segment({'alg': 'HS256', 'typ': 'JWT'})}.{_segment(told)}"
    seal = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return Token(f"{signed}.{_base64(seal)}", float(told["exp"]) - BEFORE_EXPIRY)


class TokenFile:
    """A file that somebody else renews: looked at every second, read where its mtime changed, every 60 s anyway."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._known: tuple[int, float, str] | None = None

    async def token(self, now_at: float) -> Token:
        """Return what stands in the file; raise NoToken."""
        return await asyncio.to_thread(self._token, now_at)

    def _token(self, now_at: float) -> Token:
        try:
            changed = self._path.stat().st_mtime_ns
            if self._known is None or self._known[0] != changed or not 0 <= now_at - self._known[1] < FILE_KEPT:
                with self._path.open("rb") as file:
                    text = _fit(file.read(TOKEN_LIMIT + 1), f"the token file {self._path}")
                self._known = (changed, now_at, text)
        except OSError as failure:
            reason = failure.strerror or type(failure).__name__
            raise NoToken(f"the token file {self._path} cannot be read: {reason}") from failure
        return Token(self._known[2], now_at + FILE_CHECKED)


@dataclass(frozen=True, slots=True)
class TokenCommand:
    """A program, run without a shell, that prints a token good for *ttl* seconds; it has 10 s."""

    argv: Sequence[str]
    ttl: float

    async def token(self, now_at: float) -> Token:
        """Run the command; raise NoToken where it fails, is too slow or prints no token."""
        name = f"the token command {Path(self.argv[0]).name}"
        try:
            process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else None
            raise NoToken(f"{name} cannot be started: {reason or type(failure).__name__}") from failure
        try:
            async with asyncio.timeout(COMMAND_WITHIN):
                printed = await _printed(process)
                code = await process.wait()
        except TimeoutError as failure:
            _kill(process)
            raise NoToken(f"{name} took more than {COMMAND_WITHIN:g} s") from failure
        finally:
            await _ended(process)
        if code != 0:
            raise NoToken(f"{name} ended with exit code {code}")
        return Token(_fit(printed, name), now_at + self.ttl)


async def _printed(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    printed = b""
    while len(printed) <= TOKEN_LIMIT and (part := await process.stdout.read(TOKEN_LIMIT)):
        printed += part
    if len(printed) > TOKEN_LIMIT:
        _kill(process)
    return printed


async def _ended(process: asyncio.subprocess.Process) -> None:
    """See to it that nothing of the command runs on."""
    if process.returncode is None:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _fit(raw: bytes, source: str) -> str:
    text = raw.decode("ascii", "replace").strip()
    if len(raw) > TOKEN_LIMIT or not _FIT.fullmatch(text):
        raise NoToken(f"{source} holds no token: one word of printable ASCII, at most {TOKEN_LIMIT} bytes")
    return text


def _claim(claim: Scalar, access: str, now: int) -> Scalar:
    if not isinstance(claim, str):
        return claim
    instant = _INSTANT.fullmatch(claim)
    return claim.replace("{access}", access) if instant is None else now + int(instant[1] or 0)


def _segment(told: Mapping[str, Scalar]) -> str:
    return _base64(json.dumps(told, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
