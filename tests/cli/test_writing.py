"""provider check, try, new and schema: what a definition's writer is told, and where."""

from __future__ import annotations

import json
import tomllib

import pytest

from daemon.providers.check import check_examples, misread
from daemon.providers.definition import Definition

GOOD = """\
name = "mine"
base_url = "https://api.example.com"

[status]
request = "GET /v1/tasks/{id}"
state = "status"

[status.states]
running = ["busy"]
succeeded = ["done"]
failed = ["broken"]

[status.fields]
error_message = "why"
outputs = "video.url"

[[examples]]
state = "running"
body = '''
[[not.a.header]]
'''

[[examples]]
state = "succeeded"
body = '{"status": "done", "video": {"url": "https://cdn.example.com/v.mp4"}}'
"""
GOOD = GOOD.replace("\n[[not.a.header]]\n", '{"status":\n"busy"}')
KEY = "key-of-the-lane-0123456789"


@pytest.fixture
def written(tmp_path):
    def write(text: str, name: str = "mine.toml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def _line(text: str, what: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if what in line)


@pytest.mark.parametrize(
    ("wrong", "where", "said"),
    [
        (GOOD.replace("error_message =", "error_mesage ="), "error_mesage", 'did you mean "error_message"?'),
        (GOOD.replace('state = "status"', 'state = "status["'), 'state = "status["', "not a JMESPath expression"),
        (GOOD.replace('state = "succeeded"\nbody', 'state = "succeded"\nbody'), '"succeded"', "examples.1.state"),
        (GOOD.replace('"GET /v1', '"FETCH /v1'), "FETCH", "a request reads"),
    ],
)
async def test_a_schema_error_names_file_and_line_and_the_nearest_key(pollhook, written, wrong, where, said):
    file = written(wrong)

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 2
    assert f"{file}:{_line(wrong, where)}: " in ran.err
    assert said in ran.err


async def test_what_is_no_toml_names_line_and_column(pollhook, written):
    file = written(GOOD.replace("[status.fields]", "[status.fields"))

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 2
    assert f"{file}:{_line(GOOD, '[status.fields]')}:" in ran.err
    assert "not valid TOML" in ran.err


async def test_an_example_that_is_read_otherwise_names_its_line(pollhook, written):
    wrong = GOOD.replace('"status": "done"', '"status": "busy"')
    file = written(wrong)

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 1
    second = [number for number, line in enumerate(wrong.splitlines(), 1) if line == "[[examples]]"][1]
    assert f"{file}:{second}: example 2 (status, succeeded): read as running" in ran.err


async def test_what_looks_wrong_is_warned_of_and_fails_only_where_that_is_asked_for(pollhook, written):
    rules = """
[[status.rules]]
when = "status == 'gone'"
state = "expired"
[[status.rules]]
when = "status=='gone'"
state = "failed"
"""
    text = GOOD.replace("[status.fields]", rules + "[status.fields]").replace('running = ["busy"]', 'queued = ["busy"]')
    file = written(text.replace('state = "running"', 'state = "queued"'))

    ran = await pollhook("provider", "check", file, server=False)
    strict = await pollhook("provider", "check", file, "--strict", server=False)
    told = await pollhook("provider", "check", file, "--json", server=False)

    assert (ran.status, strict.status, told.status) == (0, 1, 0)
    line = _line(text, "status=='gone'")
    assert f"{file}:{line}: rule 2 can never decide: rule 1 has the same condition" in ran.err
    assert "no example is decided by rule 1" in ran.err
    assert "no example shows the state failed" in ran.err
    assert "nothing tells canceled" in ran.err
    assert told.lines[0]["ok"] is True
    assert any("rule 2 can never" in warning for warning in told.lines[0]["warnings"])


async def test_a_state_that_nothing_ever_tells_is_warned_of(pollhook, written):
    file = written(GOOD.replace('failed = ["broken"]', ""))

    ran = await pollhook("provider", "check", file, server=False)

    assert ran.status == 0
    assert f"{file}:{_line(GOOD, '[status.states]')}: no word and no rule ever tells failed" in ran.err


async def test_the_verdict_on_what_is_no_definition_is_json_too(pollhook, written):
    ran = await pollhook("provider", "check", written("name = 3"), "--json", server=False)

    assert ran.status == 2
    assert ran.lines[0]["ok"] is False
    assert any("base_url" in fault for fault in ran.lines[0]["faults"])


@pytest.fixture
def lane(api, written, tmp_path):
    (tmp_path / "defs").mkdir()
    local = GOOD.replace("https://api.example.com", f"http://{api.address}")
    written(local, "defs/mine.toml")
    api.token = KEY
    return written(f'providers_dir = "{tmp_path}/defs"\n[providers.eu]\npreset = "mine"\napi_key = "{KEY}"\n', "c.toml")


async def test_a_try_polls_once_and_shows_what_decided_without_the_key(pollhook, api, lane):
    answer = {"status": "done", "video": {"url": f"https://cdn.example.com/{KEY}.mp4"}}
    api.on("GET", "/v1/tasks/abc", answer)

    ran = await pollhook("provider", "try", "eu", "abc", "--config", lane, server=False)

    assert ran.status == 0, ran.err
    assert [each.path for each in api.asked] == ["/v1/tasks/abc"]
    assert f"GET http://{api.address}/v1/tasks/abc" in ran.out
    assert "Authorization: Bearer ****" in ran.out
    assert "HTTP 200" in ran.out
    assert "state `status`: done" in ran.out
    assert "word done: stands under succeeded  <- decides" in ran.out
    assert "status: succeeded" in ran.out
    assert KEY not in ran.out + ran.err


async def test_a_try_that_brings_no_news_says_why_and_is_exit_1(pollhook, api, lane):
    api.on("GET", "/v1/tasks/abc", {"status": "dome"})
    api.on("GET", "/v1/tasks/gone", {"error": {"message": "never heard of it"}}, status=404)

    unknown = await pollhook("provider", "try", "eu", "abc", "--config", lane, "--json", server=False)
    gone = await pollhook("provider", "try", "eu", "gone", "--config", lane, "--json", server=False)

    assert (unknown.status, gone.status) == (1, 1)
    (exchange,) = unknown.lines[0]["exchanges"]
    assert any('did you mean "done"?' in step["found"] for step in exchange["reading"])
    assert unknown.lines[0]["observation"]["miss"] == "unknown_word"
    assert gone.lines[0]["exchanges"][0]["answer"]["status"] == 404
    assert gone.lines[0]["observation"]["miss"] == "not_found"


async def test_a_try_on_what_is_not_configured_or_not_allowed_is_exit_2_and_sends_nothing(pollhook, api, lane):
    nobody = await pollhook("provider", "try", "us", "abc", "--config", lane, server=False)
    foreign = await pollhook(
        "provider", "try", "eu", "abc", "--status-url", "https://evil.example.com/x", "--config", lane, server=False
    )
    odd = await pollhook("provider", "try", "eu", "abc", "--param", "k", "--config", lane, server=False)

    assert (nobody.status, foreign.status, odd.status) == (2, 2, 2)
    assert 'no provider "us" is configured; there are: eu' in nobody.err
    assert "evil.example.com" in foreign.err
    assert api.asked == []


DONE = {
    "code": 200,
    "data": {
        "id": "pred_abc123",
        "status": "completed",
        "outputs": ["https://cdn.example.com/a.png?X-Signature=secret"],
        "urls": {"get": "https://api.example.com/v3/predictions/pred_abc123"},
    },
}


async def test_a_draft_from_samples_guesses_the_paths_and_passes_the_check(pollhook, written, tmp_path):
    failed = {"code": 200, "data": {"id": "pred_abc123", "status": "failed", "error": "it's '''no''' good"}}
    busy = {"code": 200, "data": {"id": "pred_abc123", "status": "cooking", "outputs": []}}
    files = [written(json.dumps(DONE), "done.json"), written(json.dumps(failed), "failed.json")]
    odd = written(json.dumps(busy), "busy.json")
    target = str(tmp_path / "drawn.toml")
    url = ("--url", "https://api.example.com/v3/predictions/pred_abc123")
    samples = [word for file in files for word in ("--sample", file)]

    unclear = await pollhook("provider", "new", "drawn", *url, *samples, "--sample", odd, "-o", target, server=False)
    words = (*url, *samples, "--sample", f"running={odd}", "-o", target)
    ran = await pollhook("provider", "new", "drawn", *words, server=False)
    again = await pollhook("provider", "new", "drawn", *words, server=False)
    checked = await pollhook("provider", "check", target, server=False)

    assert (unclear.status, 'what does "cooking" mean?' in unclear.err) == (2, True)
    assert (ran.status, checked.status) == (0, 0), ran.err + checked.err
    assert (again.status, "exists already" in again.err) == (2, True)
    text = (tmp_path / "drawn.toml").read_text()
    drawn = Definition.model_validate(tomllib.loads(text))
    assert drawn.status.request.text == "GET /v3/predictions/{id}"
    assert [path.text for path in drawn.status.state] == ["data.status"]
    assert [path.text for path in drawn.submission.id] == ["data.id"]
    assert drawn.status.states.running == ("cooking",)
    assert drawn.examples[0].expect.outputs == ("https://cdn.example.com/a.png",)
    assert drawn.examples[1].expect.error_message == "it's '''no''' good"
    assert "secret" not in text


async def test_what_is_not_given_is_asked_for(pollhook):
    answers = b"https://api.example.com/v1/jobs/{id}\n\nX-Key: {key}\njob.state\nwaiting\nbusy, working\n\nbroken\n\n\n"

    ran = await pollhook("provider", "new", "-o", "-", stdin=answers, server=False)
    silent = await pollhook("provider", "new", "-o", "-", server=False)

    assert ran.status == 0, ran.err
    drawn = Definition.model_validate(tomllib.loads(ran.out))
    assert (drawn.name, drawn.auth.header, drawn.auth.format) == ("example", "X-Key", "{key}")
    assert drawn.status.states.running == ("busy", "working")
    assert drawn.status.states.succeeded == ("succeeded", "completed")
    assert misread(drawn) == []
    assert len(check_examples(drawn)) > 0
    assert silent.status == 2


async def test_the_schema_and_the_table_of_keys_are_printed(pollhook):
    schema = await pollhook("provider", "schema", server=False)
    table = await pollhook("provider", "schema", "--table", server=False)

    assert json.loads(schema.out)["title"] == "A Pollhook provider definition"
    assert "| `status.request` |" in table.out


async def test_a_lane_that_is_wrong_names_the_line_of_the_config_file(pollhook, written):
    text = """\
[providers.amux]
api_key = "key-of-amux"
min_gap = "soon"

[providers.seacloud]
api_key = "key-of-seacloud"
[providers.seacloud.status]
reqest = "GET /x/{id}"

[providers.token360]
rate = 2
"""
    file = written(text, "c.toml")

    ran = await pollhook("config", "check", "--config", file, server=False)

    assert ran.status == 2
    assert f"{file}:3: [providers.amux] limits.min_gap" in ran.err
    assert f"{file}:8: [providers.seacloud] has an unknown key" in ran.err
    assert f"{file}:10: provider token360 has no api_key" in ran.err


async def test_a_definition_in_providers_dir_that_is_wrong_names_its_own_line(pollhook, written, tmp_path):
    (tmp_path / "defs").mkdir()
    wrong = GOOD.replace("outputs =", "ouputs =")
    file = written(wrong, "defs/mine.toml")
    config = written(f'providers_dir = "{tmp_path}/defs"\n', "c.toml")

    ran = await pollhook("config", "check", "--config", config, server=False)

    assert ran.status == 2
    assert f"{file}:{_line(wrong, 'ouputs')}: has an unknown key" in ran.err
