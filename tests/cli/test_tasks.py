"""watch, tasks, task and stop: what they ask, what they print, how they end."""

from __future__ import annotations

import json

import pytest

PATH = "/v1/tasks/tsk_01k2m3n4p5q6r7s8t9v0w1x2y3"


async def test_watch_sends_what_the_options_say(api, pollhook, shapes):
    api.on("POST", "/v1/tasks", shapes["task"], status=201)

    ran = await pollhook(
        "watch", "modelmax", "Z2Vt/+=", "--model", "veo-3", "--param", "region=eu", "--metadata", '{"order": 17}',
        "--metadata", "who=me", "--endpoint", "other", "--deadline", "30m", "--fetch-result", "--event", "running",
        "--idempotency-key", "k1",
    )  # fmt: skip

    [asked] = api.asked
    assert ran.status == 0, ran.err
    assert asked.body == {
        "provider": "modelmax", "remote_id": "Z2Vt/+=", "model": "veo-3", "params": {"region": "eu"},
        "metadata": {"order": 17, "who": "me"}, "webhook": {"endpoint": "other"}, "deadline": "30m",
        "fetch_result": True, "events": ["terminal", "running"],
    }  # fmt: skip
    assert asked.headers["Idempotency-Key"] == "k1"
    assert asked.headers["User-Agent"].startswith("pollhook-cli/")


@pytest.mark.parametrize(("word", "said"), [("true", True), ("false", False), ("before_event", "before_event")])
async def test_watch_says_whether_outputs_are_kept(api, pollhook, shapes, word, said):
    api.on("POST", "/v1/tasks", shapes["task"], status=201)

    ran = await pollhook("watch", "amux", "x", "--save-outputs", word)

    assert ran.status == 0, ran.err
    assert api.asked[0].body == {"provider": "amux", "remote_id": "x", "save_outputs": said}


async def test_watch_refuses_a_word_that_says_nothing_of_keeping(pollhook):
    ran = await pollhook("watch", "amux", "x", "--save-outputs", "later")

    assert ran.status == 2
    assert "before_event" in ran.err


async def test_a_task_shows_how_the_copies_of_its_outputs_stand(api, pollhook, shapes):
    copies = [
        {"state": "saved", "bytes": 7, "sha256": "ab", "content_type": "video/mp4", "reason": None},
        {"state": "failed", "bytes": None, "sha256": None, "content_type": None, "reason": "HTTP 403"},
    ]
    outputs = [{"url": f"https://c.example/{n}", "kind": "video", "saved": copy} for n, copy in enumerate(copies)]
    api.on("GET", PATH, shapes["task"] | {"outputs": outputs})

    ran = await pollhook("task", PATH.rpartition("/")[2])

    assert "https://c.example/0 (saved: 7 bytes)" in ran.out
    assert "https://c.example/1 (failed: HTTP 403)" in ran.out


async def test_watch_says_only_what_was_said(api, pollhook, shapes):
    api.on("POST", "/v1/tasks", shapes["task"], status=201)

    await pollhook("watch", "amux", "abcd1234efgh", "--url", "https://app.example.com/hook")

    assert api.asked[0].body == {
        "provider": "amux",
        "remote_id": "abcd1234efgh",
        "webhook": {"url": "https://app.example.com/hook"},
    }


async def test_watch_reads_the_submit_answer_from_stdin_or_a_file(api, pollhook, shapes, tmp_path):
    api.on("POST", "/v1/tasks", shapes["task"], status=201)
    (tmp_path / "answer.json").write_text('{"task_id": "b"}')

    await pollhook("watch", "amux", "--submission", "-", stdin=b'{"task_id": "a"}')
    await pollhook("watch", "amux", "--submission", str(tmp_path / "answer.json"))

    assert [asked.body["submission"] for asked in api.asked] == [{"task_id": "a"}, {"task_id": "b"}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("amux",), "--submission"),
        (("amux", "x", "--endpoint", "a", "--url", "https://b.example.com"), "exclude each other"),
        (("amux", "x", "--param", "nothing"), "name=value"),
        (("amux", "x", "--metadata", "{bad"), "not JSON"),
        (("amux", "--submission", "/nowhere/at-all.json"), "cannot be read"),
        (("amux", "--submission", "-"), "not JSON"),
    ],
)
async def test_watch_refuses_bad_usage_before_it_asks_anybody(api, pollhook, words, said):
    ran = await pollhook("watch", *words)

    assert (ran.status, api.asked) == (2, [])
    assert said in ran.err


async def test_watch_prints_the_task_for_people_or_as_it_came(api, pollhook, shapes):
    api.on("POST", "/v1/tasks", shapes["task"], status=201)

    people = await pollhook("watch", "amux", "abcd1234efgh")
    program = await pollhook("watch", "amux", "abcd1234efgh", "--json")

    assert program.lines == [shapes["task"]]
    for said in ("tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "running 40%", "first poll at the 4 % quantile", "endpoint default"):
        assert said in people.out


async def test_waiting_shows_where_the_task_stands_and_ends_with_it(api, pollhook, shapes):
    api.on(
        "POST", "/v1/tasks", shapes["task"] | {"status": "queued", "progress": None, "queue_position": 4}, status=201
    )
    api.on("GET", PATH, shapes["task"], shapes["succeeded"])

    ran = await pollhook("watch", "amux", "abcd1234efgh", "--wait")

    assert ran.status == 0
    assert "queued, place 4 in the queue, 3 polls, next poll in " in ran.err
    assert "running, 40%, 3 polls" in ran.err
    assert "first poll at the 4 % quantile of 212 endings" in ran.err
    assert "video https://cdn.example.com/result.mp4" in ran.out
    assert all(float(asked.query["wait"]) > 0 for asked in api.asked[1:])


async def test_waiting_for_a_task_that_fails_exits_1_and_drives_no_terminal(api, pollhook, shapes):
    api.on("GET", PATH, shapes["failed"])

    waited = await pollhook("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "--wait")
    looked = await pollhook("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3")

    assert (waited.status, looked.status) == (1, 0)
    assert "policy [50001] (content_blocked)" in waited.out
    assert "\x1b" not in waited.out


async def test_waiting_as_json_prints_only_the_end(api, pollhook, shapes):
    api.on("GET", PATH, shapes["task"], shapes["succeeded"])

    ran = await pollhook("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "--wait", "--json")

    assert (ran.status, ran.lines) == (0, [shapes["succeeded"]])


async def test_tasks_filters_and_follows_the_cursor_as_far_as_asked(api, pollhook, shapes):
    pages = [
        {"data": [shapes["task"] | {"remote_id": f"r{n}"} for n in ns], "next": following}
        for ns, following in (((1, 2), "c1"), ((3,), None))
    ]
    api.on("GET", "/v1/tasks", *pages)

    ran = await pollhook("tasks", "--status", "running", "--provider", "amux", "--model", "m", "--all", "--json")

    assert [task["remote_id"] for task in ran.lines] == ["r1", "r2", "r3"]
    first, second = (asked.query for asked in api.asked)
    assert first == {"status": "running", "provider": "amux", "model": "m", "limit": "500"}
    assert second == first | {"cursor": "c1"}


async def test_tasks_asks_for_no_more_than_its_limit(api, pollhook, shapes):
    api.on("GET", "/v1/tasks", {"data": [shapes["task"]] * 2, "next": "c1"})

    ran = await pollhook("tasks", "--limit", "2", "--json")

    assert (len(ran.lines), [asked.query["limit"] for asked in api.asked]) == (2, ["2"])


async def test_tasks_draws_a_table_with_whole_ids(api, pollhook, shapes):
    api.on("GET", "/v1/tasks", {"data": [shapes["task"], shapes["succeeded"]], "next": None})

    ran = await pollhook("tasks")

    head, first, second = ran.out.splitlines()
    assert head.split()[:3] == ["id", "provider", "remote"]
    assert first.startswith("tsk_01k2m3n4p5q6r7s8t9v0w1x2y3  amux")
    assert "running 40%" in first
    assert "2026-11-21 20:11:40" in second


async def test_an_empty_list_is_said_on_stderr_only(api, pollhook):
    api.on("GET", "/v1/tasks", {"data": [], "next": None})

    ran = await pollhook("tasks")

    assert (ran.status, ran.out, ran.err) == (0, "", "no tasks\n")


async def test_stop_deletes(api, pollhook, shapes):
    api.on("DELETE", PATH, shapes["task"] | {"status": "stopped"})

    ran = await pollhook("stop", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "--json")

    assert ran.lines[0]["status"] == "stopped"
    assert api.asked[0].headers["Content-Type"] == "application/json"


async def test_an_id_cannot_lead_to_another_path(api, pollhook):
    ran = await pollhook("task", "../../metrics?x=1")

    assert ran.status == 1
    assert api.asked[0].path == "/v1/tasks/../../metrics?x=1"
    assert json.dumps(api.asked[0].query) == "{}"


async def test_poll_polls_now_and_shows_what_came_of_it(api, pollhook, shapes):
    api.on("POST", f"{PATH}/poll", shapes["succeeded"])

    ran = await pollhook("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "--poll")

    assert ran.status == 0, ran.err
    assert "https://cdn.example.com/result.mp4" in ran.out
    assert [(asked.method, asked.path) for asked in api.asked] == [("POST", f"{PATH}/poll")]


@pytest.mark.parametrize("repeat", [False, True])
async def test_result_runs_the_result_request_once_unless_asked_again(api, pollhook, repeat):
    answer = {
        "task_id": "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "response": {"seed": 7}, "stored_at": None,
        "requested_at": "2026-11-21T20:11:40.512Z",
        "outputs": [{"url": "https://cdn.example.com/b.mp4", "kind": "video", "needs_auth": True, "expires_at": None}],
    }  # fmt: skip
    api.on("POST", f"{PATH}/result", answer)
    words = ("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", "--result", *(["--repeat"] if repeat else []))

    people = await pollhook(*words)
    program = await pollhook(*words, "--json")

    assert (people.status, program.lines) == (0, [answer])
    assert "https://cdn.example.com/b.mp4 (needs the provider's key)" in people.out
    assert '{"seed": 7}' in people.out
    assert [asked.body for asked in api.asked] == [{"repeat": repeat}] * 2


@pytest.mark.parametrize("words", [("--repeat",), ("--result", "--poll"), ("--result", "--wait")])
async def test_words_about_a_task_that_exclude_each_other_are_bad_usage(api, pollhook, words):
    ran = await pollhook("task", "tsk_01k2m3n4p5q6r7s8t9v0w1x2y3", *words)

    assert (ran.status, api.asked) == (2, [])
    assert "--result" in ran.err
