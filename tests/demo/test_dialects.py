"""The simulators speak as the providers' own pages say: same paths, same keys, same words."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from daemon.demo.customer import Account, remote_id, submit

QUEUED, RUNNING, ENDED = 1, 50, 500

STATUS_PATHS = {
    "modelmax": "/v1/queue/{model}/requests/{id}/status",
    "seacloud": "/v1/queue/{model}/requests/{id}/status",
    "mixroute": "/v1/video/generations/{id}",
    "token360": "/v1/videos/{id}",
    "amux": "/v1/video/generations/{id}",
}
SUBMITTED_KEYS = {
    "modelmax": {"request_id", "status", "status_url", "response_url"},
    "seacloud": {"request_id", "response_url", "status_url", "cancel_url", "queue_position"},
    "mixroute": {"task_id", "status", "created_at"},
    "amux": {"task_id", "status"},
}
LIVE_WORDS = {
    "modelmax": ({"IN_QUEUE"}, "IN_PROGRESS"),
    "seacloud": ({"IN_QUEUE"}, "IN_PROGRESS"),
    "mixroute": ({"queued", "pending"}, "in_progress"),
    "token360": ({"queued"}, "in_progress"),
    "amux": ({"queued"}, "in_progress"),
}
FAILED = {
    "modelmax": ("FAILED", {"request_id", "status", "error"}),
    "seacloud": ("COMPLETED", {"status", "request_id", "response_url", "error", "error_type"}),
    "mixroute": ("failed", {"task_id", "status", "format", "error"}),
    "amux": ("failed", {"task_id", "status", "error"}),
}


def path_of(name: str, job) -> str:
    return STATUS_PATHS[name].format(model=job.model, id=quote(job.id, safe=""))


@pytest.mark.parametrize("name", STATUS_PATHS)
async def test_a_task_says_the_documented_word_in_every_live_state(rig, name):
    it = await rig()
    job = it[name].create()
    queued, running = LIVE_WORDS[name]

    it.clock.now += QUEUED
    _, first = await it.get(name, path_of(name, job))
    it.clock.now += RUNNING
    _, then = await it.get(name, path_of(name, job))

    assert first["status"] in queued
    assert then["status"] == running


@pytest.mark.parametrize("name", FAILED)
async def test_a_failed_task_has_the_documented_keys_and_http_200(rig, name):
    it = await rig(failing=1.0)
    job = it[name].create()
    it.clock.now += ENDED

    status, body = await it.get(name, path_of(name, job))

    assert status == 200
    assert (body["status"], set(body)) == FAILED[name]


@pytest.mark.parametrize("name", SUBMITTED_KEYS)
async def test_a_submit_answer_has_the_documented_keys(rig, name):
    it = await rig()
    provider = it[name]
    account = Account(dialect=provider.dialect, base_url=provider.base_url, key=provider.key)

    answer = await submit(it.session, account, provider.dialect.models[0])

    assert set(answer) == SUBMITTED_KEYS[name]
    assert remote_id(answer) in provider.jobs


async def test_modelmax_bills_only_a_finished_result_and_its_urls_are_relative(rig):
    it = await rig()
    job = it["modelmax"].create("veo-3")
    path = path_of("modelmax", job).removesuffix("/status")

    _, early = await it.get("modelmax", path)
    it.clock.now += ENDED
    _, late = await it.get("modelmax", path)

    assert (early["status"], early["model"], job.results, job.billed) == ("IN_QUEUE", "veo-3", 2, 1)
    assert set(late) == {"request_id", "status", "model", "data", "usage"}
    assert late["data"][0]["url"].startswith("/v1/queue/veo-3/requests/")
    status, content = await it.get("modelmax", late["data"][0]["url"])
    assert (status, content[4:8]) == (200, b"ftyp")


async def test_modelmax_ids_need_percent_encoding(rig):
    it = await rig()
    jobs = [it["modelmax"].create() for _ in range(20)]
    slashed = next(job for job in jobs if "/" in job.id)

    encoded, _ = await it.get("modelmax", path_of("modelmax", slashed))
    raw, _ = await it.get("modelmax", f"/v1/queue/{slashed.model}/requests/{slashed.id}/status")

    assert (encoded, raw) == (200, 404)


async def test_seacloud_completed_with_cancel_type_is_a_cancellation(rig):
    it = await rig(canceled=1.0)
    job = it["seacloud"].create()
    it.clock.now += ENDED

    _, body = await it.get("seacloud", path_of("seacloud", job))

    assert (body["status"], body["error_type"]) == ("COMPLETED", "CANCELED")


async def test_seacloud_success_has_no_error_and_its_result_no_status_word(rig):
    it = await rig()
    job = it["seacloud"].create()
    result = path_of("seacloud", job).replace("/status", "/response")

    early = await it.get("seacloud", result)
    it.clock.now += ENDED
    _, body = await it.get("seacloud", path_of("seacloud", job))
    status, late = await it.get("seacloud", result)

    assert (early[0], early[1]["status"]) == (202, "IN_QUEUE")
    assert set(body) == {"status", "request_id", "response_url", "metrics"}
    assert (status, set(late)) == (200, {"request_id", "outputs", "metadata"})
    assert {"type", "url", "content_type"} <= set(late["outputs"][0])


async def test_mixroute_sora_ends_without_a_url_and_is_downloaded_by_query(rig):
    it = await rig()
    job = it["mixroute"].create("sora-2")
    it.clock.now += ENDED

    _, body = await it.get("mixroute", path_of("mixroute", job))
    _, download = await it.get("mixroute", f"/v1/video/generations/download?id={job.id}")

    assert body == {"task_id": job.id, "status": "succeeded", "format": "mp4"}
    assert set(download) == {"success", "generation_id", "task_id", "format", "size", "base64", "data_url"}
    assert download["data_url"] == "data:video/mp4;base64," + download["base64"]


async def test_mixroute_veo_comes_sometimes_as_a_data_uri_of_hundreds_of_kilobytes(rig):
    it = await rig()
    jobs = [it["mixroute"].create("veo-3.1") for _ in range(12)]
    it.clock.now += ENDED

    urls = [(await it.get("mixroute", path_of("mixroute", job)))[1]["url"] for job in jobs]

    inline = [url for url in urls if url.startswith("data:video/mp4;base64,")]
    assert 0 < len(inline) < len(jobs)
    assert len(inline[0]) > 300_000


async def test_token360_tells_the_whole_video_object(rig):
    it = await rig()
    jobs = [it["token360"].create("seedance-2.0") for _ in range(20)]
    it.clock.now += ENDED

    bodies = [(await it.get("token360", path_of("token360", job)))[1] for job in jobs]

    documented = {"id", "object", "status", "model", "prompt", "created_at", "updated_at", "duration", "resolution"}
    documented |= {"progress", "parameters", "url", "video_url"}
    assert {frozenset(body) - {"content"} for body in bodies} == {frozenset(documented)}
    assert any("last_frame_url" in body.get("content", {}) for body in bodies)
    assert (bodies[0]["object"], bodies[0]["status"], bodies[0]["progress"]) == ("video", "completed", 100)
    assert bodies[0]["updated_at"] - bodies[0]["created_at"] == 110


async def test_amux_answers_its_alias_alike_and_sometimes_leaves_the_url_out(rig):
    it = await rig()
    jobs = [it["amux"].create() for _ in range(20)]
    it.clock.now += ENDED

    bodies = [(await it.get("amux", path_of("amux", job)))[1] for job in jobs]
    _, alias = await it.get("amux", f"/v1/videos/{jobs[0].id}")

    assert alias == bodies[0]
    assert {frozenset(body) - {"url"} for body in bodies} == {frozenset({"task_id", "status", "format", "metadata"})}
    assert {"url" in body for body in bodies} == {True, False}


@pytest.mark.parametrize("name", STATUS_PATHS)
async def test_a_wrong_key_is_401_and_an_unknown_id_is_refused_in_the_dialects_words(rig, name):
    it = await rig()
    job = it[name].create()

    wrong, _ = await it.get(name, path_of(name, job), key="sk-other")
    job.id = "nobody"
    unknown, body = await it.get(name, path_of(name, job))

    assert wrong == 401
    assert unknown == (400 if name == "modelmax" else 404)
    assert {"error", "detail"} & set(body)


async def test_only_seacloud_takes_the_key_scheme(rig):
    it = await rig()

    codes = {name: (await it.get(name, path_of(name, it[name].create()), scheme="Key"))[0] for name in STATUS_PATHS}

    assert codes == dict.fromkeys(STATUS_PATHS, 401) | {"seacloud": 200}
