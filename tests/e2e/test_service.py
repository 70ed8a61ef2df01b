"""The daemon as its operator meets it: start, drain, reload, refuse, keep secrets."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from daemon.demo.plan import Faults, Pace
from daemon.demo.receiver import is_delivered
from tests.e2e.rig import SECRET, Rig

pytestmark = pytest.mark.e2e
QUICK = Pace(queued=(0.0, 0.2), running=(0.3, 1.0))
SLOW = Pace(queued=(0.0, 0.1), running=(60.0, 60.0))


async def register(rig: Rig, name: str, count: int = 1, **more) -> list[dict]:
    tasks = []
    for _ in range(count):
        job = rig.simulation.providers[name].create()
        body = {"provider": name, "remote_id": job.id, "model": job.model} | more
        status, task = await rig.call("POST", "/v1/tasks", body)
        assert status == 201, task
        tasks.append(task)
    return tasks


async def ended(rig: Rig, task: dict) -> dict:
    _, shown = await rig.call("GET", f"/v1/tasks/{task['id']}?wait=20")
    assert shown["ended_at"] is not None, shown
    return shown


async def test_every_provider_is_polled_to_its_end_and_told_as_the_provider_said(tmp_path):
    async with Rig(tmp_path, pace=QUICK, faults=Faults(unknown_word=0.2)) as rig:
        await rig.start()
        tasks = [t for name in rig.simulation.providers for t in await register(rig, name, 12)]
        truth = rig.simulation.outcomes()
        for task in tasks:
            shown = await ended(rig, task)
            assert shown["status"] == truth[task["provider"], task["remote_id"]]
            if shown["status"] == "succeeded" and task["provider"] != "modelmax":
                assert shown["outputs"], shown
            assert (shown["error"] is None) == (shown["status"] == "succeeded")
        await rig.until(lambda: sum(map(is_delivered, rig.receiver.arrivals)) == 60)
        assert {a["complaint"] for a in rig.receiver.arrivals} == {None}
        billed = sum(job["billed"] for job in rig.simulation.ledger())
        assert billed == 0, "nobody asked for a result that bills"


@pytest.mark.slow
async def test_inline_video_is_served_by_pollhook_and_never_stands_in_the_event(tmp_path):
    async with Rig(tmp_path, pace=Pace(queued=(0, 0.1), running=(0.2, 0.5), failing=0)) as rig:
        await rig.start()
        mixroute = rig.simulation.providers["mixroute"]
        (veo,) = {model for model in mixroute.dialect.models if "veo" in model}
        jobs = [mixroute.create(veo) for _ in range(6)]
        asked = [{"provider": "mixroute", "remote_id": job.id, "model": veo} for job in jobs]
        tasks = [(await rig.call("POST", "/v1/tasks", body))[1] for body in asked]
        shown = [await ended(rig, task) for task in tasks]
        inline = [task for task in shown if task["outputs"][0]["url"].startswith("/v1/")]
        assert inline, "the simulation answers some Veo jobs with a data: URI"
        for task in inline:
            (output,) = task["outputs"]
            assert output["url"] == f"/v1/tasks/{task['id']}/outputs/0"
            status, content = await rig.call("GET", output["url"])
            assert status == 200
            assert len(content) > 100_000
            status, part = await rig.call("GET", output["url"], Range="bytes=10-19")
            assert (status, part) == (206, content[10:20])
            _, event = await rig.call("GET", f"/v1/events/{task['event_id']}/body")
            assert len(json.dumps(event)) < 20_000


async def test_sigterm_drains_and_exits_0_and_the_next_start_goes_on(tmp_path):
    async with Rig(tmp_path, pace=Pace(queued=(0, 0.1), running=(3.0, 4.0))) as rig:
        await rig.start()
        tasks = await register(rig, "token360", 20)
        await asyncio.sleep(1.5)
        assert await rig.stop() == 0
        assert rig.log_lines("service.stopped")
        await rig.start()
        for task in tasks:
            await ended(rig, task)
        polls = [(await rig.call("GET", f"/v1/tasks/{t['id']}"))[1]["polls"] for t in tasks]
        truth = {job["remote_id"]: job["polls"] for job in rig.simulation.ledger()}
        assert sum(polls) == sum(truth.values()), "poll counts survive an orderly stop"


@pytest.mark.slow
async def test_a_revoked_key_parks_the_lane_over_a_restart_and_a_new_key_on_reload_resumes_it(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        amux = rig.simulation.providers["amux"]
        rig.write_config(**{"providers.amux": {"api_key": "sk-revoked-key-000000"}})
        await rig.start()
        tasks = await register(rig, "amux", 10)
        other = await register(rig, "token360", 5)

        async def lane() -> dict:
            return (await rig.call("GET", "/v1/providers/amux"))[1]

        async def is_parked() -> bool:
            return (await lane())["state"] == "parked"

        await rig.until(is_parked)
        for task in other:
            await ended(rig, task)
        await asyncio.sleep(6)
        await rig.kill()
        await rig.start()
        assert await is_parked()
        assert len(rig.log_lines("provider.credentials_rejected")) == 1

        rig.write_config(**{"providers.amux": {"api_key": amux.key}})
        rig.reload()
        for task in tasks:
            assert (await ended(rig, task))["status"] in ("succeeded", "failed")
        assert (await lane())["state"] == "ok"


@pytest.mark.slow
async def test_a_bad_configuration_on_reload_is_refused_and_the_old_one_stays(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        await rig.start()
        rig.config.write_text(rig.config.read_text() + "\n[polling]\nmax_task = 3\n")
        rig.reload()
        await rig.until(lambda: rig.log_lines("config.refused"))
        assert "max_tasks" in rig.log_lines("config.refused")[0]["why"]
        (task,) = await register(rig, "amux")
        await ended(rig, task)


@pytest.mark.slow
async def test_a_lane_added_on_reload_takes_tasks_and_one_removed_keeps_those_it_has(tmp_path):
    async with Rig(tmp_path, pace=SLOW) as rig:
        await rig.start()
        (kept,) = await register(rig, "amux")
        text = rig.config.read_text()
        rig.config.write_text(
            text.replace("[providers.amux]", '[providers.second]\npreset = "amux"').replace(
                "[providers.amux.typical]", "[providers.second.typical]"
            )
        )
        rig.reload()
        await rig.until(lambda: rig.log_lines("config.reloaded"))
        job = rig.simulation.providers["amux"].create()
        status, task = await rig.call("POST", "/v1/tasks", {"provider": "second", "remote_id": job.id})
        assert (status, task["provider"]) == (201, "second")
        status, problem = await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": "other"})
        assert (status, problem["code"]) == (422, "unknown_provider")
        assert "second" in problem["detail"]
        status, shown = await rig.call("GET", f"/v1/tasks/{kept['id']}")
        assert shown["ended_at"] is None
        await rig.kill()
        await rig.start()
        status, shown = await rig.call("GET", f"/v1/tasks/{kept['id']}")
        assert (status, shown["ended_at"]) == (200, None)


@pytest.mark.slow
async def test_a_provider_key_appears_nowhere_but_at_its_provider(tmp_path):
    async with Rig(tmp_path, pace=QUICK, faults=Faults(server_error=0.1, html=0.1)) as rig:
        await rig.start()
        tasks = [t for name in rig.simulation.providers for t in await register(rig, name, 4)]
        shown = [json.dumps(await ended(rig, task)) for task in tasks]
        shown += [json.dumps(await rig.all_events())]
        for path in ("/v1/providers", "/v1/endpoints", "/v1/deliveries", "/metrics", "/openapi.json"):
            shown.append(str(await rig.call("GET", path)))
        await rig.stop()
        everything = "".join(shown) + rig.log.read_text()
        on_disk = b"".join(p.read_bytes() for p in sorted((tmp_path / "state").rglob("*")) if p.is_file())
        for key in rig.simulation.keys.values():
            assert key not in everything
            assert key.encode() not in on_disk
        assert SECRET not in everything
        token = (tmp_path / "state" / "api-token").read_text().strip()
        assert token not in everything


async def test_a_second_daemon_on_the_same_database_is_refused(tmp_path):
    async with Rig(tmp_path) as rig, Rig(tmp_path) as second:
        rig.write_config()
        await rig.start()
        second.config = tmp_path / "second.toml"
        second.log = tmp_path / "second.log"
        second.write_config()
        assert await second.start(expect_ready=False) == 3
        assert "in use by another Pollhook daemon" in second.log.read_text()


@pytest.mark.slow
async def test_a_port_in_use_is_named_and_nothing_is_left_behind(tmp_path):
    async with Rig(tmp_path) as rig:
        server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", rig.port)
        assert await rig.start(expect_ready=False) == 3
        assert f"127.0.0.1:{rig.port}" in rig.log.read_text()
        server.close()
        await server.wait_closed()
        await rig.start()


@pytest.mark.slow
async def test_a_database_from_a_newer_version_is_refused_with_both_versions(tmp_path):
    async with Rig(tmp_path) as rig:
        await rig.start()
        await rig.stop()
        with closing(sqlite3.connect(tmp_path / "state" / "pollhook.db")) as database:
            database.execute("PRAGMA user_version = 999")
        assert await rig.start(expect_ready=False) == 3
        assert "999" in rig.log.read_text()


async def test_a_typo_in_the_configuration_exits_2_and_names_the_nearest_key(tmp_path):
    async with Rig(tmp_path) as rig:
        rig.config.write_text("[polling]\nmax_task = 3\n")
        assert await rig.start(expect_ready=False) == 2
        assert "did you mean max_tasks?" in rig.log.read_text()


@pytest.mark.slow
async def test_a_full_watchlist_answers_503_with_retry_after_and_keeps_what_it_has(tmp_path):
    async with Rig(tmp_path, pace=SLOW, tables={"polling": {"max_tasks": 3}}) as rig:
        await rig.start()
        await register(rig, "amux", 3)
        status, problem = await rig.call("POST", "/v1/tasks", {"provider": "amux", "remote_id": "one-more"})
        assert (status, problem["code"]) == (503, "watchlist_full")


@pytest.mark.slow
async def test_sd_notify_says_ready_and_stopping(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        address = str(tmp_path / "notify")
        heard.bind(address)
        heard.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        async with Rig(tmp_path) as rig:
            await rig.start()
            await rig.stop()
        said = []
        while True:
            try:
                said.append(heard.recv(4096).decode())
            except BlockingIOError:
                break
        assert any("READY=1" in text for text in said)
        assert any("STOPPING=1" in text for text in said)


@pytest.mark.slow
async def test_a_webhook_url_of_the_callers_is_judged_by_the_egress_rules_and_signed_per_origin(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        await rig.start()
        job = rig.simulation.providers["amux"].create()
        for url in ("http://169.254.169.254/x", "http://127.0.0.1:9/x", "https://localhost/x", "http://[::1]:9000/x"):
            body = {"provider": "amux", "remote_id": job.id, "webhook": {"url": url}}
            status, problem = await rig.call("POST", "/v1/tasks", body)
            assert (status, problem["code"]) == (422, "target_not_allowed"), url
        port = rig.receiver.url.split(":")[2].split("/")[0]
        rig.write_config(egress={"allow": [f"127.0.0.1/32:{port}"]})
        await rig.stop()
        await rig.start()
        secret = subprocess.run(
            [sys.executable, "-m", "daemon", "secret", rig.receiver.url, "--config", str(rig.config)],
            capture_output=True, text=True, check=True, timeout=20,
        ).stdout.strip()  # fmt: skip
        assert secret.startswith("whsec_")
        rig.receiver._webhook = Webhook(secret)
        body = {"provider": "amux", "remote_id": job.id, "webhook": {"url": rig.receiver.url}}
        status, task = await rig.call("POST", "/v1/tasks", body)
        assert status == 201, task
        await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)))
        assert rig.receiver.arrivals[0]["complaint"] is None


async def test_ready_comes_soon_and_files_are_private(tmp_path):
    async with Rig(tmp_path) as rig:
        began = time.monotonic()
        await rig.start()
        assert time.monotonic() - began < 10
        modes = {p.name: oct(p.stat().st_mode & 0o777) for p in Path(tmp_path / "state").iterdir() if p.is_file()}
        assert set(modes.values()) == {"0o600"}, modes


@pytest.mark.slow
async def test_a_redelivery_to_a_disabled_endpoint_is_parked_and_enabling_sends_it(tmp_path):
    async with Rig(tmp_path, pace=QUICK) as rig:
        await rig.start()
        (task,) = await register(rig, "amux")
        event_id = (await ended(rig, task))["event_id"]
        await rig.until(lambda: any(map(is_delivered, rig.receiver.arrivals)))
        assert (await rig.call("POST", "/v1/endpoints/default/disable"))[0] == 200
        status, again = await rig.call("POST", f"/v1/events/{event_id}/redeliver")
        assert status == 202
        assert [delivery["state"] for delivery in again["data"]] == ["parked"]
        assert "disabled" in again["data"][0]["reason"]
        await rig.kill()
        await rig.start()
        assert (await rig.call("GET", "/v1/endpoints/default"))[1]["state"] == "disabled"
        assert (await rig.call("POST", "/v1/endpoints/default/enable"))[0] == 200
        await rig.until(lambda: sum(map(is_delivered, rig.receiver.arrivals)) == 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bad", ["whsk_" + base64.b64encode(b"x" * 32).decode(), "whsk_" + base64.b64encode(b"x" * 64).decode()]
)
async def test_a_signing_key_that_is_none_is_refused_at_start_and_on_reload(tmp_path, bad):
    async with Rig(tmp_path, pace=QUICK) as rig:
        good = rig.config.read_text()
        rig.write_config(**{"endpoints.default": {"signing_key": bad}})
        assert await rig.start(expect_ready=False) == 2
        assert bad not in rig.log.read_text()
        broken = rig.config.read_text()
        rig.config.write_text(good)
        await rig.start()
        rig.config.write_text(broken)
        rig.reload()
        await rig.until(lambda: rig.log_lines("config.refused"))
        (task,) = await register(rig, "amux")
        await ended(rig, task)


@pytest.mark.slow
async def test_a_generated_secret_survives_disabling_and_a_restart(tmp_path):
    async with Rig(tmp_path, tables={"endpoints.default": {"secret": None}}) as rig:
        await rig.start()
        keys = (await rig.call("GET", "/v1/endpoints/default"))[1]["keys"]
        await rig.call("POST", "/v1/endpoints/default/disable")
        await rig.stop()
        await rig.start()
        assert (await rig.call("GET", "/v1/endpoints/default"))[1]["keys"] == keys


@pytest.mark.slow
async def test_a_public_socket_from_systemd_is_refused_without_a_token(tmp_path):
    with socket.create_server(("0.0.0.0", 0)) as public:
        async with Rig(tmp_path, tables={"server": {"auth": "none"}}) as rig:
            script = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True); "
                "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
                "os.execv(sys.executable, [sys.executable, '-m', 'daemon', 'serve', '--config', sys.argv[2]])"
            )
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, str(public.fileno()), str(rig.config),
                pass_fds=(public.fileno(),), stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(20):
                _, said = await process.communicate()
            assert process.returncode == 3
            assert b"others can reach" in said
