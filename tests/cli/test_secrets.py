"""secret, token, verify, listen, config: what is known without asking the daemon."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time

import aiohttp
import pytest

from daemon.core.signing import decode_secret, derived_secret, encode_secret, hmac_key, signature

SECRET = encode_secret(bytes(range(32)))
BODY = b'{"type":"task.succeeded","data":{}}'


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(
        f'[store]\npath = "{tmp_path}/pollhook.db"\n'
        '[providers.amux]\napi_key = "sk-very-secret-0123456789"\n'
        f'[endpoints.default]\nurl = "http://127.0.0.1:9000/hook"\nsecret = "{SECRET}"\n'
    )
    return str(file)


def headers_of(body: bytes, *, at: float | None = None, webhook_id: str = "msg_1") -> dict[str, str]:
    stamp = int(time.time() if at is None else at)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature([hmac_key(SECRET)], webhook_id, stamp, body),
    }


async def test_a_new_secret_is_a_good_one_each_time(pollhook):
    first, second = [(await pollhook("secret", "--new")).out.strip() for _ in range(2)]

    assert len(decode_secret(first)) == 32
    assert first != second


async def test_the_secret_of_a_url_is_derived_from_its_origin(pollhook, config, tmp_path):
    (tmp_path / "master-key").write_bytes(b"m" * 32)

    one = await pollhook("secret", "https://App.example.com/hooks/a?b=c", "--config", config)
    other = await pollhook("secret", "https://app.example.com:443/elsewhere", "--config", config)

    assert one.out.strip() == derived_secret(b"m" * 32, "https://app.example.com:443")
    assert one.out == other.out


async def test_the_secret_of_a_configured_endpoint_is_the_one_written(pollhook, config):
    ran = await pollhook("secret", "default", "--config", config)

    assert ran.out.strip() == SECRET


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ((), 2, "--new"),
        (("default", "--new"), 2, "--new"),
        (("nobody",), 2, "configured are: default"),
        (("ftp://x.example.com",), 2, "https://"),
        (("https://x.example.com",), 1, "master key"),
    ],
)
async def test_a_secret_that_cannot_be_told_says_why(pollhook, config, words, status, said):
    ran = await pollhook("secret", *words, "--config", config)

    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err


async def test_the_token_and_where_it_is_kept(pollhook, config, tmp_path):
    absent = await pollhook("token", "--config", config)
    (tmp_path / "api-token").write_text("abc\n")
    told = await pollhook("token", "--config", config)
    path = await pollhook("token", "--path", "--config", config)

    assert (absent.status, "pollhook serve" in absent.err) == (1, True)
    assert (told.out, path.out) == ("abc\n", f"{tmp_path}/api-token\n")


async def test_verify_holds_a_signature_against_the_bytes(pollhook):
    said = headers_of(BODY)
    words = [
        "--id",
        said["webhook-id"],
        "--timestamp",
        said["webhook-timestamp"],
        "--signature",
        said["webhook-signature"],
    ]

    good = await pollhook("verify", "-", *words, stdin=BODY, POLLHOOK_SECRET=SECRET)
    bad = await pollhook("verify", "-", *words, stdin=BODY + b" ", POLLHOOK_SECRET=SECRET)

    assert (good.status, bad.status) == (0, 1)
    assert "not verified" in bad.err


async def test_config_check_finds_a_provider_without_a_key(pollhook, config, tmp_path):
    good = await pollhook("config", "check", "--config", config)
    (tmp_path / "bad.toml").write_text("[providers.amux]\n[providers.amuxx]\napi_key = 'k'\n")
    bad = await pollhook("config", "check", "--config", str(tmp_path / "bad.toml"))

    assert (good.status, bad.status) == (0, 2)
    assert "amux" in good.out
    assert "has no api_key" in bad.err
    assert "amuxx" in bad.err


async def test_config_show_masks_every_secret(pollhook, config):
    ran = await pollhook("config", "show", "--config", config)

    shown = json.loads(ran.out)
    assert shown["endpoints"]["default"]["url"] == "http://127.0.0.1:9000/hook"
    assert SECRET not in ran.out
    assert "very-secret" not in ran.out


async def test_listen_verifies_prints_and_knows_duplicates(start):
    process = await start("listen", "--port", "0", "--secret", SECRET)
    port = await _port(process)
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/hooks/pollhook"
        codes = []
        for headers, body in (
            (headers_of(BODY), BODY),
            (headers_of(BODY), BODY),
            (headers_of(BODY), b"{}"),
            ({}, BODY),
        ):
            async with session.post(url, data=body, headers=headers) as response:
                codes.append(response.status)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()

    assert codes == [204, 204, 400, 400]
    assert b"msg_1  verified\n" in out
    assert b"duplicate: taken 2 times" in out
    assert out.count(b"NOT VERIFIED") == 2
    assert b'"type": "task.succeeded"' in out


async def test_listen_fails_as_often_as_it_is_told(start):
    process = await start("listen", "--port", "0", "--secret", SECRET, "--fail-rate", "1")
    port = await _port(process)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/", data=BODY, headers=headers_of(BODY)) as response,
    ):
        assert response.status == 503
    process.terminate()
    await process.communicate()


async def test_listen_without_a_secret_makes_one_and_says_what_to_configure(start):
    process = await start("listen", "--port", "0")
    said = b"".join([await asyncio.wait_for(process.stderr.readline(), 20) for _ in range(4)]).decode()
    process.terminate()
    await process.communicate()

    found = re.search(r'secret = "(.*)"', said)
    assert "[endpoints.default]" in said
    assert found is not None
    assert len(decode_secret(found[1])) == 32


async def test_listen_on_a_port_in_use_is_exit_3(api, pollhook):
    ran = await pollhook("listen", "--port", api.address.rpartition(":")[2], "--secret", SECRET)

    assert (ran.status, "cannot listen" in ran.err) == (3, True)


async def test_a_complaint_of_the_real_command_is_its_exit_status(start):
    process = await start("tasks", POLLHOOK_SERVER="nonsense")
    out, complaint = await process.communicate()

    assert (process.returncode, out) == (2, b"")
    assert complaint.startswith(b"pollhook: --server must read")


async def test_help_and_version_answer_without_heavy_imports(start):
    process = await start("--version", PYTHONPROFILEIMPORTTIME="1")
    out, imported = await process.communicate()

    assert re.fullmatch(rb"pollhook \d+\.\d+\.\d+\n", out)
    names = {line.rpartition(b"|")[2].strip() for line in imported.splitlines()}
    assert names.isdisjoint({b"aiohttp", b"pydantic", b"cryptography", b"daemon.service"})


async def _port(process) -> int:
    while line := (await asyncio.wait_for(process.stderr.readline(), 20)).decode():
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return int(found[1])
    raise AssertionError("listen ended before it listened")
