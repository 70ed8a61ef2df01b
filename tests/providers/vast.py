"""A provider in a process of its own whose answers are vast or vile; prints its port and serves until it is killed."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os

from aiohttp import web

MB = 1024 * 1024


def _answer(kind: str) -> bytes:
    sizes = {"data": 44 * MB, "escaped": 20 * MB, "lines": 20 * MB, "many": 20 * MB}
    raw = base64.b64encode(os.urandom(sizes.get(kind, 0)))
    match kind:
        case "data":
            return b'{"state":"done","url":"data:video/mp4;base64,' + raw + b'"}'
        case "escaped":
            return b'{"state":"done","url":"data:video\\/mp4;base64,' + raw.replace(b"/", b"\\/") + b'"}'
        case "lines":
            rows = (raw[at : at + 76] for at in range(0, len(raw), 76))
            return b'{"state":"done","url":"data:video/mp4;base64,' + b"\\n".join(rows) + b'"}'
        case "many":
            some = (raw[at : at + 900_000] for at in range(0, len(raw), 900_000))
            return b'{"state":"done","url":[' + b",".join(b'"data:a/b;base64,' + one + b'"' for one in some) + b"]}"
        case "text":
            return b'{"state":"done","url":"data:text/plain,' + "é word, ".encode() * 5_000_000 + b'"}'
        case "keys":
            pairs = {f"key {n}": {"n": n, "w": "x" * 60} for n in range(100_000)}
            return json.dumps({"state": "done", "url": "https://c.example/v", **pairs}).encode()
        case "zeros":
            return b'{"state":"done","url":[' + b"0," * 20_000_000 + b"0]}"
        case "objects":
            return b'{"state":"done","url":[' + b"{}," * 10_000_000 + b"0]}"
        case "lists":
            return b'{"state":"done","x":[' + b",".join([b"[" * 900 + b"]" * 900] * 5000) + b"]}"
        case "page":
            raw = base64.b64encode(os.urandom(6 * MB)).decode()
            items = [{"id": "a", "state": "done", "url": f"data:video/mp4;base64,{raw}"}]
            items += [{"id": f"{n}", "state": "busy", "words": [{"n": i} for i in range(800)]} for n in range(200)]
            return json.dumps({"items": items}).encode()
        case "deep":
            return b"[" * 5_000_000 + b"]" * 5_000_000
        case "integer":
            return b'{"state":"done","n":' + b"9" * 10_000_000 + b"}"
        case "integers":
            return b'{"state":"done","n":[' + b",".join([b"9" * 4200] * 2300) + b"]}"
    return gzip.compress(b" " * (120 * MB), 1)


async def _serve() -> None:
    async def told(request: web.Request) -> web.Response:
        kind = request.match_info["kind"]
        body = await asyncio.to_thread(_answer, kind)
        coded = {"Content-Encoding": "gzip"} if kind == "bomb" else {}
        return web.Response(body=body, headers={"Content-Type": "application/json", **coded})

    app = web.Application()
    app.router.add_get("/{kind}", told)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
