"""Request bodies: bounded while they are read, never held longer than allowed, and JSON only.

A body past its limit is refused before it is buffered; one that drips is cut after ``READ_SECONDS``; a large one is
parsed beside the event loop.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from daemon.api.problems import rejected
from daemon.api.strict_json import parse
from daemon.core.observation import Json

REGISTRATION_LIMIT = 64 * 1024
BATCH_LIMIT = 8 * 1024 * 1024
READ_SECONDS = 10.0


async def read_body(request: web.Request, limit: int) -> bytes:
    """Return the whole body of a request with a JSON body; raise Rejected past *limit* bytes or without JSON."""
    if request.headers.get("Content-Type") != "application/json":
        _require_json(request)
    try:
        return await _read(request, limit)
    except ConnectionResetError:
        raise rejected("bad_request", "the caller hung up before the body was whole") from None


async def read_json(request: web.Request, limit: int = REGISTRATION_LIMIT) -> Json:
    """Return the JSON value of the body, at most *limit* bytes."""
    return parse(await read_body(request, limit))


async def parse_large(body: bytes) -> Json:
    """Return the JSON value of a *body* that may be large, without holding up the event loop."""
    return parse(body) if len(body) <= REGISTRATION_LIMIT else await asyncio.to_thread(parse, body)


async def read_optional_json(request: web.Request) -> Json:
    """Return the JSON value of the body, or None where there is no body at all."""
    return await read_json(request) if request.body_exists else None


async def forbid_body(request: web.Request) -> None:
    """Take a request that needs no body: an empty one, or JSON of no more than ``{}``."""
    if request.body_exists and await read_json(request) not in ({}, None):
        raise rejected("invalid_request", "this call takes no body")


def _require_json(request: web.Request) -> None:
    if request.content_type != "application/json" or "Content-Type" not in request.headers:
        found = request.headers.get("Content-Type", "none")[:100]
        raise rejected("unsupported_media_type", f"the content type must be application/json, got {found}")
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise rejected("unsupported_media_type", "JSON is read as UTF-8 only")


async def _read(request: web.Request, limit: int) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise rejected("unsupported_media_type", "a body must not be compressed")
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if "Expect" in request.headers:
        await _continue(request)
    if request.content.is_eof():
        body = request.content.read_nowait()
        if len(body) > limit:
            raise _too_large(limit)
        return body
    return await _read_slowly(request, limit)


async def _read_slowly(request: web.Request, limit: int) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
    except TimeoutError:
        raise rejected("timeout", f"the body must arrive within {READ_SECONDS:g} s") from None
    except web.RequestPayloadError:
        raise rejected("bad_request", "the body is not well-formed") from None
    return b"".join(parts)


async def _continue(request: web.Request) -> None:
    """Ask for the body (RFC 9110, 10.1.1) only after every check that needs none of it."""
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0


def _too_large(limit: int) -> Exception:
    return rejected("too_large", f"the body must be at most {limit // 1024} KiB")
