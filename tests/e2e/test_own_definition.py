"""A definition of the operator's own: what it cannot read is shown, what is wrong with it at a reload harms no lane."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from daemon.demo.plan import Pace
from tests.e2e.rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MINE = """
name = "mine"
base_url = "{base}"
[status]
request = "GET /jobs/{{id}}"
state = "state"
states = {{ running = ["busy"], succeeded = ["done"], failed = ["broken"] }}
[[status.rules]]
when = "length(reason) > `3`"
state = "failed"
[status.fields]
outputs = "url"
"""


class Upstream:
    """Answers what the test says."""

    def __init__(self) -> None:
        self.body: object = {"state": "busy", "reason": "secret-of-the-customer"}
        self.base = ""

    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response(self.body)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    app = web.Application()
    app.router.add_get("/{tail:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def file(tmp_path: Path, upstream: Upstream) -> Path:
    folder = tmp_path / "providers"
    folder.mkdir()
    written = folder / "mine.toml"
    written.write_text(MINE.format(base=upstream.base))
    return written


@pytest.fixture
async def rig(tmp_path: Path, file: Path) -> AsyncIterator[Rig]:
    lane = {"api_key": "sk-mine-1234567890", "min_gap": "100ms", "max_gap": "300ms"}
    tables = {"providers.mine": lane, "providers.mine.typical": {"duration": "200ms"}}
    async with Rig(tmp_path, pace=Pace(), tables=tables) as made:
        made.config.write_text(f"providers_dir = {json.dumps(str(file.parent))}\n{made.config.read_text()}")
        await made.start()
        yield made


async def test_an_expression_that_fails_is_no_news_logged_once_and_shown_by_shape_alone(rig, upstream):
    upstream.body = {"state": "busy", "reason": 7, "note": "secret-of-the-customer"}
    status, task = await rig.call("POST", "/v1/tasks", {"provider": "mine", "remote_id": "1"})
    assert status == 201, task
    for _ in range(3):
        await rig.call("POST", f"/v1/tasks/{task['id']}/poll")

    _, shown = await rig.call("GET", "/v1/providers/mine")
    (trouble,) = shown["reading_troubles"]
    assert "length(reason)" in trouble
    assert "note" in trouble
    assert shown["misses"]["unreadable"] >= 3
    _, task = await rig.call("GET", f"/v1/tasks/{task['id']}")
    assert task["ended_at"] is None
    assert rig.log.read_text().count("length(reason)") == 1
    assert "secret-of-the-customer" not in rig.log.read_text() + json.dumps(shown)
    upstream.body = {"state": "done", "reason": "", "url": "https://cdn.example/v.mp4"}
    _, task = await rig.call("POST", f"/v1/tasks/{task['id']}/poll")
    assert task["status"] == "succeeded"


async def test_a_definition_that_is_wrong_at_a_reload_is_named_by_file_and_key_and_the_lane_keeps_its_old_one(
    rig, upstream, file
):
    upstream.body = {"state": "busy", "reason": ""}
    status, task = await rig.call("POST", "/v1/tasks", {"provider": "mine", "remote_id": "1"})
    assert status == 201, task
    file.write_text(file.read_text().replace('outputs = "url"', 'output = "url"'))
    rig.reload()
    await rig.until(lambda: rig.log_lines("config.refused"), what="the reload was refused")

    why = rig.log_lines("config.refused")[0]["why"]
    assert str(file) in why
    assert 'status.fields.output"' in why
    assert 'did you mean "outputs"' in why
    upstream.body = {"state": "done", "reason": "", "url": "https://cdn.example/v.mp4"}
    _, task = await rig.call("POST", f"/v1/tasks/{task['id']}/poll")
    assert [output["url"] for output in task["outputs"]] == ["https://cdn.example/v.mp4"]
    file.write_text(file.read_text().replace('output = "url"', 'outputs = "url"'))
    rig.reload()
    await rig.until(lambda: rig.log_lines("config.reloaded"), what="the mended definition was taken")
