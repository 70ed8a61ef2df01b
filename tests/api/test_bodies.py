import asyncio
import gzip
import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from daemon.api import bodies, connection, pace
from daemon.api.problems import Rejected
from daemon.api.strict_json import parse

JSON = {"Content-Type": "application/json"}
BASE = b'{"provider":"amux","remote_id":"abcd"}'


async def _post(api, data, headers=None, path="/v1/tasks"):
    return await api.call("POST", path, data=data, headers=JSON | (headers or {}))


def _head(api, path="/v1/tasks", *lines):
    ours = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{api.port}", f"Authorization: Bearer {api.token}"]
    return "\r\n".join([*ours, "Content-Type: application/json", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": 1} x', "line 1, column 10"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": Infinity}', "Infinity"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number is too long"),
        (b'{"a": "\xff"}', "UTF-8 at byte 7"),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"a": "\\uDFFFx"}', "half of a surrogate pair"),
        (b'{"a": [{"\\ud83d": 1}]}', "half of a surrogate pair"),
        (b'{"a": ["\\ud83d\\ude00", {"b": ["\\\\ud83d\\ude00"]}]}', "half of a surrogate pair"),
        (b"[" * 5000 + b"]" * 5000, "nested deeper"),
        (b'{"a":' * 9000 + b"1" + b"}" * 9000, "nested deeper"),
    ],
)
async def test_what_is_no_strict_json_is_refused_with_its_place(api, body, said):
    status, problem, _ = await _post(api, body)

    assert (status, problem["code"]) == (400, "bad_json")
    assert said in problem["detail"]


async def test_nesting_past_64_levels_is_a_bad_field(api):
    deep = json.loads("[" * 65 + "]" * 65)

    status, problem, _ = await api.call(
        "POST", "/v1/tasks", json_body={"provider": "amux", "submission": deep, "metadata": {"a": deep}}
    )

    assert status == 422
    assert {error["field"] for error in problem["errors"]} == {"submission", "metadata"}


async def test_nesting_of_64_levels_is_taken(api):
    await api.register(submission=json.loads("[" * 64 + "]" * 64))


@pytest.mark.parametrize("body", [b'{"a":1,"a":1}', b'{"x":{"a":1,"b":2,"a":3}}', b'[{"\\u0061":1,"a":2}]'])
async def test_a_key_that_stands_twice_is_refused_by_name(api, body):
    status, problem, _ = await _post(api, body)

    assert (status, problem["code"]) == (400, "duplicate_key")
    assert '"a"' in problem["detail"]


def test_a_whole_pair_of_surrogates_is_a_character():
    assert parse(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_a_byte_order_mark_is_no_json():
    with pytest.raises(Rejected):
        parse(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize(
    "kind",
    [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
     "application/json; charset=latin-1", "text/json", "application/problem+json"],
)  # fmt: skip
async def test_a_body_that_is_not_called_json_is_refused(api, kind):
    raw = _head(api).replace(
        b"Content-Type: application/json\r\n", f"Content-Type: {kind}\r\n".encode() if kind else b""
    )
    request = raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BASE)) + BASE

    status, answer = await api.raw(request, until_closed=True)

    assert status == 415
    assert b'"code":"unsupported_media_type"' in answer


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/JSON;charset=UTF-8"])
async def test_json_may_name_its_charset(api, kind):
    assert (await _post(api, BASE, {"Content-Type": kind}))[0] == 201


async def test_a_compressed_body_is_refused_unopened(api):
    status, problem, _ = await _post(api, gzip.compress(b"{" * 1000), {"Content-Encoding": "gzip"})

    assert (status, problem["code"]) == (415, "unsupported_media_type")


async def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_not(api):
    fit = BASE[:-1] + b" " * (64 * 1024 - len(BASE)) + b"}"

    assert (await _post(api, fit))[0] == 201
    status, problem, _ = await _post(api, fit + b" ")
    assert (status, problem["code"]) == (413, "too_large")


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(api):
    status, _ = await api.raw(_head(api, "/v1/tasks", f"Content-Length: {64 * 1024 + 1}"))

    assert status == 413


async def test_a_body_without_length_is_refused_while_it_streams(api):
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(_head(api, "/v1/tasks", "Transfer-Encoding: chunked"))
    piece = b"4000\r\n" + b" " * 0x4000 + b"\r\n"

    writer.write(piece * 6)
    answer = await asyncio.wait_for(reader.read(65536), 5)

    assert b" 413 " in answer.splitlines()[0]
    writer.close()


async def test_a_batch_may_be_8_mib_and_no_more(api):
    path = "/v1/tasks/batch"
    fit = b'{"tasks":[]' + b" " * (8 * 1024 * 1024 - 12) + b"}"

    assert (await _post(api, fit, path=path))[0] == 200
    assert (await _post(api, fit + b" ", path=path))[0] == 413


async def test_a_client_that_asks_first_is_told_to_continue_only_if_welcome(api):
    asking = _head(api, "/v1/tasks", f"Content-Length: {len(BASE)}", "Expect: 100-continue")
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(asking)
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    writer.write(BASE)
    answer = await asyncio.wait_for(reader.read(65536), 5)
    writer.close()

    refused, _ = await api.raw(asking.replace(api.token.encode(), b"wrong"))

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b" 201 " in answer.splitlines()[0]
    assert refused == 401


@pytest.mark.parametrize("piece", [b"{}", b"[]", b"0", b'""'])
async def test_millions_of_parts_are_refused_unparsed(api, piece):
    body = b'{"tasks":[' + b",".join([piece] * 2_000_000) + b"]}"

    status, problem, _ = await _post(api, body, path="/v1/tasks/batch")

    assert (status, problem["code"]) == (413, "too_large")
    assert "send less at once" in problem["detail"]


async def test_a_large_body_is_parsed_while_others_run():
    body = b'{"tasks":[' + b",".join([b'{"a":1}'] * 90_000) + b"]}"
    parsing = asyncio.create_task(bodies.parse_large(body))
    turns = 0

    while not parsing.done():
        await asyncio.sleep(0)
        turns += 1

    assert len(parsing.result()["tasks"]) == 90_000
    assert turns > 5


async def test_a_batch_lets_others_run_between_its_items(api, monkeypatch):
    monkeypatch.setattr(pace, "SLICE_SECONDS", 0.0)
    turns = []

    async def turn():
        while True:
            await asyncio.sleep(0)
            turns.append(len(api.tasks.applications))

    turning = asyncio.create_task(turn())
    batch = {"tasks": [{"provider": "amux", "remote_id": f"r{number}"} for number in range(300)]}
    _, answer, _ = await api.call("POST", "/v1/tasks/batch", json_body=batch)
    turning.cancel()

    assert [item["task"]["remote_id"] for item in answer["data"]] == [f"r{number}" for number in range(300)]
    assert turns.count(0) > 300
    assert turns.count(300) > 300


@pytest.mark.parametrize("expects", [(), ("Expect: 100-continue",)])
async def test_an_aborted_upload_is_no_error(api, expects):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as logs:
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(_head(api, "/v1/tasks", "Content-Length: 100", *expects) + (b"" if expects else b"{"))
        while not api.listeners._server.requests_count:
            await asyncio.sleep(0)
        writer.transport.abort()
        while api.listeners._server.connections:
            await asyncio.sleep(0)
        await api.call("GET", "/healthz")

    assert [line for line in logs if line["log_level"] not in ("info", "debug")] == []


async def test_a_body_that_drips_is_cut(api, monkeypatch):
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.05)

    status, answer = await api.raw(_head(api, "/v1/tasks", "Content-Length: 100") + b"{")

    assert status == 408
    assert b'"code":"timeout"' in answer


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: ", b"GET"])
async def test_a_head_that_drips_is_cut(api, monkeypatch, sent):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)

    status, answer = await api.raw(sent, until_closed=True)

    assert status == 408
    assert b"Connection: close" in answer


async def test_a_second_head_that_drips_is_cut_too_but_an_idle_connection_is_not(api, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)
    whole = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{api.port}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(whole)
    first = await reader.read(65536)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.2)

    writer.write(whole[:20])
    rest = await asyncio.wait_for(reader.read(-1), 5)

    assert b" 200 " in first.splitlines()[0]
    assert b" 408 " in rest.splitlines()[0]
    writer.close()


async def test_a_head_without_end_is_cut_by_its_size(api):
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    for number in range(20):
        writer.write(b"X-%d: " % number + b"x" * 4000 + b"\r\n")
        await writer.drain()
        if reader.at_eof():
            break
    answer = await asyncio.wait_for(reader.read(-1), 5)

    assert b" 431 " in answer.splitlines()[0]
    writer.close()
