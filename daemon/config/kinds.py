"""The kinds of value a setting can hold, each with its bounds and an error that says what is allowed.

A complaint about a secret or an address never repeats it.
"""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr
from pydantic_core import PydanticCustomError

from daemon.core import signing, size, span
from daemon.core.egress import allowance, check_url, is_local
from daemon.core.endpoint import event_type_complaint
from daemon.core.headers import header_complaint
from daemon.core.origin import parse_origin
from daemon.engine.predicates import predicate_complaint
from daemon.net.authorities import authorities_complaint

LONGEST_SPAN = 3650 * 86400.0
LARGEST_SIZE = 2**50
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SEED_BYTES = 32


def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """Return the literal address that *host* is, brackets allowed; None where it is a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("no_number", "must be a number")
    return value


def _span(value: object) -> float:
    try:
        seconds = span.seconds(value) if isinstance(value, str | int | float) else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SPAN:
        raise PydanticCustomError("no_span", 'must be a span of time such as "90s", "1h30m", "7d" or plain seconds')
    return seconds


def _size(value: object) -> int:
    try:
        found = size.size_in_bytes(value) if isinstance(value, str | int) else 0
    except ValueError:
        found = 0
    if not 0 < found <= LARGEST_SIZE:
        raise PydanticCustomError("no_size", 'must be an amount of bytes such as "500MB", "2GiB" or a plain number')
    return found


def _path(value: Path) -> Path:
    if str(value).startswith("~") or str(value) in ("", "."):
        raise ValueError("must be written in full: ~ stands for nobody's home in a daemon")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("is no name: write 1 to 64 of a-z, 0-9, _ and -, and begin with a letter or digit")
    return value


def _url(value: str) -> str:
    try:
        target = parse_origin(value)
    except ValueError as complaint:
        raise ValueError(f"cannot be used: {complaint}") from None
    if "#" in value:
        raise ValueError("cannot be used: a #fragment is never sent")
    is_near = target.host == "localhost" if target.address is None else is_local(target.address)
    if target.scheme == "http" and not is_near:
        raise ValueError(f"must be https: plain http goes to loopback and private addresses only, not to {target.host}")
    if reason := check_url(value, is_trusted=True):
        raise ValueError(f"cannot be used: {reason}")
    return value


def _egress_entry(value: str) -> str:
    try:
        allowance(value)
    except ValueError as complaint:
        raise ValueError(f"cannot be used: {complaint}") from None
    return value


def _proxy(value: str) -> str:
    try:
        target = parse_origin(value)
    except ValueError as complaint:
        raise ValueError(f"cannot be used: {complaint}") from None
    if target.scheme != "http" or value.rstrip("/").count("/") != 2:
        raise ValueError('must name a forward proxy as "http://HOST:PORT"')
    return str(target)


def _signing_secret(value: SecretStr) -> SecretStr:
    try:
        signing.decode_secret(value.get_secret_value())
    except signing.BadSecret as complaint:
        raise ValueError(f"cannot be used: {complaint}") from None
    return value


def _private_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith("whsk_"):
        raise ValueError("must begin with whsk_")
    try:
        raw = base64.b64decode(text.removeprefix("whsk_"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be padded standard base64 after whsk_") from None
    if len(raw) != 2 * _SEED_BYTES:
        raise ValueError(f"must hold 64 bytes, an Ed25519 seed and its public key after it; this one holds {len(raw)}")
    if _public_key(raw[:_SEED_BYTES]) != raw[_SEED_BYTES:]:
        raise ValueError("cannot be used: its second half is not the public key of its first half, the seed")
    return value


def _public_key(seed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 (heavy, and rarely needed)
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _header_name(value: str) -> str:
    if complaint := header_complaint(value, ""):
        raise ValueError(f"cannot be used: {complaint}")
    return value


def _header_value(value: SecretStr) -> SecretStr:
    if header_complaint("X", value.get_secret_value()):
        raise ValueError("must be one line of printable ASCII, at most 4,096 characters")
    return value


def _event_type(value: str) -> str:
    if complaint := event_type_complaint(value):
        raise ValueError(complaint)
    return value


def _predicate(value: str) -> str:
    if complaint := predicate_complaint(value):
        raise ValueError(complaint)
    return value


def _authorities(value: str) -> str:
    if complaint := authorities_complaint(value):
        raise ValueError(complaint)
    return value


FilePath = Annotated[Path, AfterValidator(_path)]
Span = Annotated[float, BeforeValidator(_span), PlainSerializer(span.spoken, when_used="json")]
Size = Annotated[int, BeforeValidator(_size), PlainSerializer(size.spoken_size, when_used="json")]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=10_000_000)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)]
EgressEntry = Annotated[str, AfterValidator(_egress_entry)]
ProxyUrl = Annotated[str, AfterValidator(_proxy)]
Name = Annotated[str, AfterValidator(_name)]
HookUrl = Annotated[str, AfterValidator(_url)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
PrivateKey = Annotated[SecretStr, AfterValidator(_private_key)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
Schedule = Annotated[tuple[Span, ...], Field(max_length=100)]
EventType = Annotated[str, AfterValidator(_event_type)]
Predicate = Annotated[str, AfterValidator(_predicate)]
Authorities = Annotated[str, AfterValidator(_authorities)]
