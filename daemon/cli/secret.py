"""The commands about secrets: secret, token, verify.

A secret is printed only where it was asked for by name, and only to stdout.
"""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli import options, say
from daemon.cli.complaint import Complaint, misuse
from daemon.core.origin import origin
from daemon.core.signing import BadSecret, derived_secret, encode_secret, hmac_key
from daemon.core.verifying import BadSignature
from daemon.core.verifying import verify as verify_signature

NEW_BYTES = 32
BODY_BOUND = 1 << 20


def secret(
    of: Annotated[str | None, typer.Argument(metavar="NAME|URL", help="An endpoint's name, or a URL.")] = None,
    *,
    new: Annotated[bool, typer.Option("--new", help="Make a new secret, to be written into a config file.")] = False,
    config: options.ConfigFile = None,
) -> None:
    """Print the signing secret of an endpoint or of a URL's origin, or make a new one."""
    if new == (of is not None):
        raise misuse("give an endpoint's name or a URL, or --new for a new secret")
    print(encode_secret(secrets.token_bytes(NEW_BYTES)) if of is None else secret_of(of, config))


def secret_of(of: str, config: Path | None) -> str:
    """Return the secret of the endpoint *of*, or of the origin of the URL that it is."""
    from daemon.cli import settings as found  # noqa: PLC0415 (pydantic is imported only where it is needed)

    settings = found.read_settings(config)
    if "://" not in of:
        return found.secret_of_endpoint(of, settings)
    try:
        source = origin(of)
    except ValueError as error:
        raise misuse(f"{of} is no URL a webhook can go to: {error}") from None
    master = found.read_state(found.master_key_file(settings), "master key")
    return derived_secret(master, source)


def token(
    *,
    path: Annotated[bool, typer.Option("--path", help="Print where the token is kept in place of the token.")] = False,
    config: options.ConfigFile = None,
) -> None:
    """Print the API token, for `curl -H "Authorization: Bearer $(pollhook token)"`."""
    from daemon.cli import settings as found  # noqa: PLC0415 (pydantic is imported only where it is needed)

    file = found.token_file(found.read_settings(config))
    print(file if path else found.read_state(file, "API token").decode("ascii", "replace").strip())


def verify(
    body: Annotated[str, typer.Argument(metavar="FILE", help="The body as it arrived; - is stdin.")],
    *,
    webhook_id: Annotated[str | None, typer.Option("--id", help="The webhook-id header.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="The webhook-timestamp header.")] = None,
    signature: Annotated[str | None, typer.Option(help="The webhook-signature header.")] = None,
    signing_secret: Annotated[str, typer.Option("--secret", envvar="POLLHOOK_SECRET", help="The whsec_ secret.")],
    any_age: Annotated[
        bool, typer.Option("--any-age", help="Let an old timestamp pass: a saved request is old.")
    ] = False,
) -> None:
    """Verify a webhook by hand; exit 0 if the signature holds.

    FILE is a body, its headers given as options, or a whole saved request: header lines, an empty line, the body.
    """
    try:
        content = sys.stdin.buffer.read(BODY_BOUND) if body == "-" else Path(body).read_bytes()
        key = hmac_key(signing_secret)
    except (OSError, BadSecret) as error:
        raise misuse(str(error)) from None
    given = {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    headers = {name: value for name, value in given.items() if value is not None}
    if not headers:
        headers, content = _saved(content)
    stamp = headers.get("webhook-timestamp", "")
    now_at = float(stamp) if any_age and stamp.isdecimal() and len(stamp) < 13 else time.time()
    try:
        verify_signature(headers, content, [key], now_at=now_at)
    except BadSignature as error:
        raise Complaint(f"not verified: {error}") from None
    say.note("verified")


def _saved(request: bytes) -> tuple[dict[str, str], bytes]:
    """Part a saved request into its headers and the bytes of its body; a request line before them is passed over."""
    head, gap, body = request.partition(b"\r\n\r\n")
    if not gap or b"webhook-" not in head.lower():
        head, gap, body = request.partition(b"\n\n")
    lines = [line.partition(":") for line in head.decode("latin-1").splitlines()]
    headers = {name.strip().lower(): value.strip() for name, colon, value in lines if colon}
    if not gap or "webhook-signature" not in headers:
        raise misuse(
            "give --id, --timestamp and --signature, or a saved request: header lines, an empty line, the body"
        )
    return headers, body
