"""Raw HTTP answers that no decent server sends: each a list of (bytes, seconds to wait before them), then closed or left.

``None`` at the end leaves the connection open and silent.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib

from tests.fuzz.cases import mutated_bytes, mutated_tree

Script = list[tuple[bytes | None, float]]
PIECES = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b":", b"\xff\xfe", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
    b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"Content-Encoding: gzip\r\n", b"Content-Encoding: br, zstd\r\n", b"Retry-After: 1e400\r\n",
    b"Retry-After: -5\r\n", b"Retry-After: \xd9\xa3\r\n", b"Set-Cookie: a=b\r\n", b"Location: http://169.254.169.254/\r\n", b" folded\r\n",
    b"Content-Type: text/html; charset=utf-7\r\n", b"Content-Type: application/json; charset=rot13\r\n", b"0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"-1\r\n", b'5;ext="' + b"x" * 3000 + b'"\r\n', b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"Date: Thu, 99 Foo 0000 99:99:99 GMT\r\n", b"openai-poll-after-ms: 1e99\r\n", b"Age: x\r\n", b"\xe2\x80\xae",
)  # fmt: skip
CODES = (200, 200, 200, 201, 202, 203, 204, 205, 206, 207, 226, 299, 300, 301, 302, 303, 304, 307, 308, 400, 402, 405, 406, 408, 409,
         411, 412, 413, 415, 416, 418, 421, 422, 423, 425, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 511, 520, 529, 599, 600,
         999, 100, 101, 103, 0, 1, 1000)  # fmt: skip
AUTH_CODES = (401, 403, 407)


def script(dice: random.Random, body: object, *, may_blame_key: bool = False) -> Script:
    """Return an answer made around the JSON value *body*."""
    raw = _body(dice, body)
    way = dice.randrange(12)
    if way == 0:
        return [(dice.randbytes(dice.choice((0, 1, 7, 300, 70_000))), 0.0)]
    if way == 1:
        return _dripped(dice, raw)
    if way == 2:
        return _vast(dice)
    if way == 3:
        return _chunked(dice, raw)
    if way == 4:
        return _encoded(dice, raw)
    if way == 5:
        return [(None, 0.0)] if dice.random() < 0.3 else [(b"", dice.random())]
    code = dice.choice(CODES + AUTH_CODES * 3 if may_blame_key else CODES)
    whole = _head(dice, code, raw) + raw
    if way < 10:
        whole = mutated_bytes(dice, whole, PIECES)
    return [(whole, 0.0), (None, 0.0)] if dice.random() < 0.2 else [(whole, 0.0)]


def _body(dice: random.Random, body: object) -> bytes:
    raw = json.dumps(body).encode()
    way = dice.randrange(7)
    if way == 0:
        return mutated_bytes(dice, raw)
    if way == 1:
        return json.dumps(mutated_tree(dice, body)).encode()
    if way == 2:
        return raw.decode().encode(dice.choice(("utf-16", "utf-32", "utf-16-be", "utf-8-sig")))
    if way == 3:
        return dice.choice((b"", b"null", b"[]", b'"x"', b"1e400", b"-" * 50, b"[" * 100_000, b'{"a":' * 20_000, b"<html>" * 500,
                            b"{" + b'"a":1,' * 50_000 + b'"b":2}', b"9" * 100_000, b'"' + b"\\u0000" * 20_000 + b'"'))  # fmt: skip
    return raw


def _head(dice: random.Random, code: int, raw: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {code} {dice.choice(('OK', '', 'No' * 2000, chr(233)))}".encode("latin-1"),
        b"Content-Length: %d" % len(raw),
    ]
    lines += [dice.choice(PIECES).strip(b"\r\n") for _ in range(dice.choice((0, 0, 1, 3)))]
    lines += [b"X-%d: %s" % (n, b"y" * dice.choice((1, 100))) for n in range(dice.choice((0, 0, 0, 5, 300)))]
    if dice.random() < 0.1:
        lines.append(b"X-Long: " + b"z" * dice.choice((8000, 9000, 100_000, 2_000_000)))
    return b"\r\n".join([*lines, b"", b""])


def _dripped(dice: random.Random, raw: bytes) -> Script:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
    size = dice.choice((1, 3, 40))
    return [(whole[at : at + size], dice.choice((0.0, 0.02, 0.3))) for at in range(0, min(len(whole), size * 60), size)]


def _vast(dice: random.Random) -> Script:
    filler = dice.choice((b" " * 65536, b"[" * 65536, b'"a",' * 16384, b"\x00" * 65536, b'{"a":' * 13107))
    count = dice.choice((20, 200, 800))
    head = dice.choice((
        b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: ", b"",
    ))  # fmt: skip
    return [(head, 0.0), *[(filler, 0.0)] * count]


def _chunked(dice: random.Random, raw: bytes) -> Script:
    chunks = [raw[at : at + 7] for at in range(0, len(raw[:2000]), 7)]
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), dice.choice((b"", b"", b";a=b")), chunk) for chunk in chunks)
    body += dice.choice(
        (b"0\r\n\r\n", b"0\r\nX-Trailer: a\r\n\r\n", b"", b"0\r\n", b"zz\r\n", b"0\r\n" + b"X: y\r\n" * 5000)
    )
    if dice.random() < 0.6:
        body = mutated_bytes(dice, body, PIECES)
    return [(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body, 0.0)]


def _encoded(dice: random.Random, raw: bytes) -> Script:
    name = dice.choice((b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"identity", b"x-y"))
    plain = dice.choice((raw, b"[" + b"0," * 20_000_000 + b"0]", b" " * 60_000_000)) if dice.random() < 0.3 else raw
    packed = dice.choice((gzip.compress, zlib.compress))(plain, 1)
    if dice.random() < 0.4:
        packed = mutated_bytes(dice, packed)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (name, len(packed))
    return [(head + packed, 0.0)]
