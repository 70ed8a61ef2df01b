"""The units under a real systemd: what the README and DESIGN, section 10, say of them."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import time

import aiohttp
import pytest

from daemon.demo.plan import Pace
from tests.boot.installed import CONFIG, LANE, PROGRAM, SECRET, SOCKET, Installed

FILES = (
    "/etc/systemd/system/pollhook.socket",
    "/etc/systemd/system/pollhook.service",
    "/etc/pollhook/config.toml",
    "/usr/local/bin/pollhook",
)
QUICK = Pace(queued=(0.0, 0.2), running=(0.3, 1.0))
LONG = Pace(queued=(0.0, 0.1), running=(4.0, 6.0))
BROKEN_PUMP = (
    "import daemon.engine.pump as p; p.Pump._turn = lambda self: None; from daemon.cli.main import main; main()"
)


@pytest.fixture
def pace(request) -> Pace:
    return getattr(request, "param", QUICK)


@pytest.fixture
async def pollhook(machine, pace):
    async with Installed(machine, pace) as installed:
        yield installed


long = pytest.mark.parametrize("pace", [LONG], indirect=True)


async def test_started_means_ready_as_a_user_of_its_own_with_private_files(pollhook):
    await pollhook.start()

    assert (await pollhook.call("GET", "/readyz"))[0] == 200
    found = pollhook.state("ActiveState", "SubState", "StatusText", "Type", "DynamicUser", "MainPID")
    assert (found["ActiveState"], found["SubState"], found["DynamicUser"]) == ("active", "running", "yes")
    assert found["StatusText"] == "watching 0 tasks in 1 lanes"
    database = pollhook.machine.inside("/var/lib/private/pollhook/pollhook.db")
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert 61184 <= database.stat().st_uid <= 65519, "a dynamic user's"
    uid = pollhook.machine.run("ps", "-o", "uid=", "-p", found["MainPID"], check=False).stdout
    assert not uid or int(uid) == database.stat().st_uid


async def test_keys_come_as_credentials_and_stand_nowhere_else(pollhook):
    pollhook.write_credential("store_key", "5e" * 32)
    await pollhook.start()
    (task,) = await pollhook.register()

    await pollhook.until(lambda: pollhook.delivered() == {task["id"]}, what="a delivery signed with the credential")

    shown = pollhook.machine.run("systemctl", "show", "pollhook.service").stdout
    journal = str(pollhook.journal())
    state = pollhook.machine.inside("/var/lib/private/pollhook")
    files = b"".join(path.read_bytes() for path in state.iterdir() if path.is_file())
    assert not (state / "store-key").exists(), "the one that came in is used"
    for secret in (pollhook.provider.key, SECRET):
        assert secret not in shown
        assert secret not in journal
        assert secret.encode() not in files


async def test_a_credential_that_is_missing_fails_the_start_with_a_code_of_its_own(pollhook):
    pollhook.drop_in("once", f"[Service]\nRestart=no\nLoadCredential=providers__{LANE}__api_key:/etc/pollhook/none\n")

    said = await pollhook.systemctl("start", "pollhook.service", check=False)

    assert "failed" in said
    assert pollhook.state("ExecMainStatus")["ExecMainStatus"] == "243", "systemd's own EXIT_CREDENTIALS"


async def test_an_installation_without_any_key_starts_and_one_made_again_changes_nothing(pollhook):
    pollhook.machine.run("sh", "-c", "rm /etc/pollhook/credentials/*")
    pollhook.write_config("")

    await pollhook.start()

    assert (await pollhook.call("GET", "/readyz"))[0] == 200
    said = pollhook.machine.run(PROGRAM, "install", "--apply").stdout
    assert "kept, it is yours: /etc/pollhook/config.toml" in said
    assert not re.search(r"^(made|wrote|linked)", said, re.MULTILINE), said
    assert "systemctl restart pollhook" in said


async def test_what_install_prints_does_what_install_applies(pollhook):
    applied = {path: pollhook.machine.run("cat", path).stdout for path in FILES}
    pollhook.machine.run(PROGRAM, "uninstall", "--purge", "--apply")
    assert not any(os.path.lexists(pollhook.machine.inside(path)) for path in FILES)
    script = pollhook.machine.run(PROGRAM, "install").stdout

    pollhook.machine.run("sh", "-c", script)

    printed = {path: pollhook.machine.run("cat", path).stdout for path in FILES}
    assert {path for path in FILES if printed[path] != applied[path]} == {"/etc/pollhook/config.toml"}, "the test's own"
    assert pollhook.state("ActiveState")["ActiveState"] == "active"


async def test_a_connection_starts_the_service_and_waits_for_it(pollhook):
    await pollhook.systemctl("start", "pollhook.socket")
    assert pollhook.state("ActiveState")["ActiveState"] == "inactive"

    status, _ = await pollhook.call("GET", "/v1/tasks")

    assert status == 200
    assert pollhook.state("ActiveState")["ActiveState"] == "active"


async def test_the_socket_is_for_its_group_and_tcp_beside_it_asks_for_the_token(pollhook):
    drop_ins = pollhook.machine.inside("/etc/systemd/system/pollhook.socket.d")
    drop_ins.mkdir(exist_ok=True)
    pollhook.machine.run("groupadd", "--force", "--system", "pollhook-api")
    (drop_ins / "tcp.conf").write_text("[Socket]\nListenStream=127.0.0.1:8711\nSocketGroup=pollhook-api\n")
    try:
        await pollhook.systemctl("daemon-reload")
        await pollhook.start()

        mode = pollhook.machine.inside(SOCKET).stat()
        assert (stat.S_IMODE(mode.st_mode), mode.st_uid) == (0o660, 0)
        asked = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{SOCKET}')"
        stranger = ["setpriv", "--reuid=65534", "--regid=65534"]
        assert (
            "PermissionError"
            in pollhook.machine.run(*stranger, "--clear-groups", "python3", "-c", asked, check=False).stderr
        )
        pollhook.machine.run(*stranger, f"--groups={mode.st_gid}", "python3", "-c", asked)
        token = pollhook.machine.inside("/var/lib/private/pollhook/api-token").read_text().strip()
        async with aiohttp.ClientSession("http://127.0.0.1:8711") as session:
            async with session.get("/v1/tasks") as answer:
                assert answer.status == 401
            async with session.get("/v1/tasks", headers={"Authorization": f"Bearer {token}"}) as answer:
                assert answer.status == 200
    finally:
        pollhook.machine.run("rm", "/etc/systemd/system/pollhook.socket.d/tcp.conf")
        await pollhook.systemctl("daemon-reload")


@long
async def test_a_good_reload_applies_and_a_bad_one_is_refused_shown_and_changes_nothing(pollhook):
    await pollhook.start()
    tasks = await pollhook.register(5)
    pollhook.write_config(CONFIG + '[providers.second]\npreset = "amux"\napi_key = "sk-another-lane-0123"\n')

    await pollhook.systemctl("reload", "pollhook.service")

    await pollhook.until(lambda: pollhook.said("config.reloaded"), what="the reload")
    await pollhook.until(lambda: pollhook.state("StatusText")["StatusText"] == "watching 5 tasks in 2 lanes")
    pollhook.write_config(CONFIG + "[polling]\nmax_task = 3\n")
    await pollhook.systemctl("reload", "pollhook.service")
    await pollhook.until(lambda: pollhook.said("config.refused"), what="the refusal")
    shown = await pollhook.systemctl("status", "pollhook.service", "--no-pager", "--full")
    assert re.search(r"Active: active \(running\)", shown)
    assert re.search(r'Status: ".*refused.*max_tasks', shown), shown
    assert (await pollhook.call("GET", "/v1/providers/second"))[0] == 200, "the configuration before it stays"
    await pollhook.until(lambda: pollhook.delivered() == {task["id"] for task in tasks}, what="every delivery")
    await pollhook.until(
        lambda: "watching 0 tasks" in pollhook.state("StatusText")["StatusText"], what="a fresh status"
    )
    assert "refused" in pollhook.state("StatusText")["StatusText"], "till it is mended"


async def test_a_newer_systemd_may_reload_by_its_own_signal_and_wait_for_the_end(pollhook):
    if int(pollhook.machine.run("systemctl", "--version").stdout.split()[1]) < 253:
        pytest.skip("Type=notify-reload needs systemd 253")
    pollhook.drop_in("reload", "[Service]\nType=notify-reload\nExecReload=\n")
    await pollhook.start()
    pollhook.write_config(CONFIG + '[providers.second]\npreset = "amux"\napi_key = "sk-another-lane-0123"\n')

    await pollhook.systemctl("reload", "pollhook.service")

    assert (await pollhook.call("GET", "/v1/providers/second"))[0] == 200


@long
@pytest.mark.parametrize("stall", ["stopped", "pumps stand still"])
async def test_a_daemon_that_stalls_is_killed_by_the_watchdog_and_the_next_one_goes_on(pollhook, stall):
    pollhook.drop_in("watchdog", "[Service]\nWatchdogSec=3\nRestartSec=100ms\n")
    await pollhook.start()
    tasks = await pollhook.register(5)
    if stall == "stopped":
        await pollhook.systemctl("kill", "--signal=STOP", "pollhook.service")
    else:
        exec_start = f'ExecStart=\nExecStart=/opt/pollhook/bin/python3 -c "{BROKEN_PUMP}" serve\n'
        pollhook.drop_in("broken", f"[Service]\n{exec_start}")
        await pollhook.systemctl("restart", "pollhook.service")

    await pollhook.until(lambda: int(pollhook.state("NRestarts")["NRestarts"]) >= 1, what="the restart")
    journal = pollhook.journal()
    assert any("atchdog timeout" in str(entry["MESSAGE"]) for entry in journal)
    if stall != "stopped":
        assert any(entry["said"].get("event") == "watchdog.withheld" for entry in journal)
        pollhook.drop_in("broken", "")
        await pollhook.systemctl("restart", "pollhook.service")
    await pollhook.until(lambda: pollhook.delivered() == {task["id"] for task in tasks}, what="every delivery")


async def test_a_stop_lets_the_attempt_in_flight_end_and_is_a_clean_one(pollhook):
    held = asyncio.Event()
    reached = asyncio.Event()

    async def hold(_request: aiohttp.web.Request) -> aiohttp.web.Response:
        reached.set()
        await held.wait()
        return aiohttp.web.Response(status=204)

    app = aiohttp.web.Application()
    app.router.add_post("/hook", hold)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 9009).start()
    pollhook.write_config(CONFIG.replace("@receiver@", "http://127.0.0.1:9009/hook"))
    await pollhook.start()
    await pollhook.register()
    await asyncio.wait_for(reached.wait(), 20)

    stopping = asyncio.create_task(pollhook.systemctl("stop", "pollhook.service"))
    await pollhook.until(lambda: pollhook.said("service.stopping"), what="the drain")
    assert not stopping.done()
    held.set()
    await stopping
    await runner.cleanup()

    assert pollhook.state("Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert pollhook.said("service.stopping")[-1]["deliveries"] == 1
    assert pollhook.said("service.stopped")
    assert not pollhook.said("service.cut_short")


@long
async def test_a_restart_with_tasks_in_flight_loses_and_doubles_nothing_and_refuses_no_caller(pollhook):
    await pollhook.start()
    tasks = await pollhook.register(20)
    restarting = asyncio.create_task(pollhook.systemctl("restart", "pollhook.service"))
    while not restarting.done():
        tasks += await pollhook.register()
        await asyncio.sleep(0.05)

    await pollhook.until(lambda: pollhook.delivered() == {task["id"] for task in tasks}, what="every delivery")

    ids = [arrival["webhook_id"] for arrival in pollhook.receiver.arrivals]
    assert len(set(ids)) == len(tasks) > 20, "one event for each task"


async def test_a_bad_configuration_is_said_and_not_tried_again(pollhook):
    pollhook.write_config("[polling]\nmax_task = 3\n")

    await pollhook.systemctl("start", "pollhook.service", check=False)

    found = pollhook.state("ExecMainStatus", "NRestarts", "ActiveState")
    assert found == {"ExecMainStatus": "2", "NRestarts": "0", "ActiveState": "failed"}
    journal = pollhook.journal()
    assert any("did you mean max_tasks?" in str(entry["MESSAGE"]) for entry in journal)


async def test_a_caller_of_a_daemon_that_cannot_start_is_told_so_and_starts_it_once(pollhook):
    pollhook.write_config("[polling]\nmax_task = 3\n")
    await pollhook.systemctl("start", "pollhook.socket")

    status, problem = await pollhook.call("GET", "/v1/tasks")

    assert (status, problem["code"]) == (503, "not_started")
    await pollhook.until(lambda: pollhook.state("ActiveState")["ActiveState"] == "failed")
    await asyncio.sleep(3)
    failures = [entry for entry in pollhook.journal() if str(entry["MESSAGE"]).startswith("Failed to start pollhook")]
    assert len(failures) == 1, "no caller is left whom systemd would start it for again"


async def test_the_running_service_is_exposed_by_one_and_a_half_at_most(pollhook):
    await pollhook.start()

    said = pollhook.machine.run("systemd-analyze", "security", "--no-pager", "pollhook.service").stdout

    exposure = re.search(r"Overall exposure level for pollhook\.service: ([\d.]+)", said)
    assert exposure
    assert float(exposure[1]) <= 1.5


async def test_the_journal_holds_fields_and_priorities(pollhook):
    await pollhook.start()
    (task,) = await pollhook.register()
    pollhook.write_config("[polling]\nmax_task = 3\n")
    await pollhook.systemctl("reload", "pollhook.service")
    await pollhook.until(lambda: pollhook.said("config.refused") and pollhook.said("delivery.attempted"))

    journal = pollhook.journal()

    lines = {entry["said"]["event"]: entry for entry in journal if entry["said"]}
    assert lines["service.ready"]["PRIORITY"] == "6"
    assert lines["config.refused"]["PRIORITY"] == "3"
    assert lines["service.ready"]["SYSLOG_IDENTIFIER"] == "pollhook"
    ended = lines["task.ended"]["said"]
    assert (ended["task"], ended["level"]) == (task["id"], "info")
    assert ended["timestamp"].endswith("Z")


async def test_without_a_journal_the_work_goes_on(pollhook):
    await pollhook.start()
    journald = ("systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald-audit.socket")
    try:
        await pollhook.systemctl("stop", "systemd-journald.service", *journald, check=False)
        tasks = await pollhook.register(3)

        deadline = time.monotonic() + 20
        while pollhook.delivered() != {task["id"] for task in tasks}:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
    finally:
        await pollhook.systemctl("start", *journald, "systemd-journald.service", check=False)
    assert (await pollhook.call("GET", "/readyz"))[0] == 200
