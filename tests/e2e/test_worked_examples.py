"""The definitions that the docs work out, loaded by a real daemon from providers_dir and polled to an end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from daemon.demo.plan import Pace
from daemon.providers.catalog import load
from daemon.providers.check import check_examples
from daemon.providers.definition import Definition
from daemon.providers.doubts import doubts
from tests.e2e.rig import LANE, Rig

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
FOLDER = Path(__file__).parents[2] / "docs" / "providers" / "examples"
FILES = sorted(FOLDER.glob("*.toml"))
KEY = "key-of-the-worked-example"
NEVER_DONE = {"together.toml": "expired", "openrouter.toml": None, "wavespeed.toml": "canceled or expired"}


class Upstream:
    """Answers each status request with the definitions' own examples: first one that runs, then the finished one."""

    def __init__(self, definitions: list[Definition]) -> None:
        self.definitions = definitions
        self.asked: Counter[str] = Counter()
        self.keys: set[str | None] = set()
        self.origin = ""

    def body(self, definition: Definition, *, of: str = "status", state: str | None = None) -> str:
        examples = [each for each in definition.examples if (each.of, each.state) == (of, state)]
        return examples[0].body.replace(str(definition.base.origin()), self.origin)

    async def answer(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("Authorization"))
        self.asked[request.path] += 1
        (definition,) = (each for each in self.definitions if self.path(each) == request.path)
        state = "running" if self.asked[request.path] == 1 else "succeeded"
        return web.Response(text=self.body(definition, state=state), content_type="application/json")

    def path(self, definition: Definition) -> str:
        submitted = next(each for each in definition.examples if each.of == "submission")
        path = definition.status.request.filled({"id": submitted.expect.id})
        return definition.base.path.rstrip("/") + path


@pytest.fixture
async def upstream():
    server = Upstream([load(file) for file in FILES])
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_worked_example_agrees_with_its_own_examples_and_leaves_no_other_doubt(file):
    definition = load(file)
    seldom = NEVER_DONE[file.name]

    assert check_examples(definition) == []
    assert [each.text.partition(":")[0] for each in doubts(definition)] == (
        [f"nothing tells {seldom}"] if seldom else []
    )
    assert all(each.source for each in definition.examples)


async def test_the_daemon_polls_each_worked_example_to_the_end_its_page_shows(tmp_path, upstream):
    tables = {
        f"providers.{each.name}": LANE
        | {"api_key": KEY, "base_url": upstream.origin + each.base.path.rstrip("/"), "min_gap": "100ms"}
        for each in upstream.definitions
    } | {f"providers.{each.name}.typical": {"duration": "200ms"} for each in upstream.definitions}
    async with Rig(tmp_path, pace=Pace(), tables=tables) as rig:
        rig.config.write_text(f"providers_dir = {json.dumps(str(FOLDER))}\n{rig.config.read_text()}")
        await rig.start()

        for definition in upstream.definitions:
            submission = json.loads(upstream.body(definition, of="submission"))
            status, task = await rig.call("POST", "/v1/tasks", {"provider": definition.name, "submission": submission})
            assert status == 201, task
            _, shown = await rig.call("GET", f"/v1/tasks/{task['id']}?wait=20")

            finished = next(each for each in definition.examples if each.state == "succeeded")
            assert shown["status"] == "succeeded", shown
            assert [output["url"] for output in shown["outputs"]] == list(finished.expect.outputs)
            assert upstream.asked[upstream.path(definition)] >= 2

        assert upstream.keys == {f"Bearer {KEY}"}
