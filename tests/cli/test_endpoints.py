"""The commands that write endpoints: what they send, what they print once, what they refuse."""

from __future__ import annotations

import pytest

SHOWN = {"name": "mine", "url": "https://app.example.com/x", "state": "ok", "keys": ["0a1b2c3d"]}
MADE = SHOWN | {"secret": "whsec_new", "signing_key": None}


@pytest.mark.parametrize("word", ["add", "set"])
async def test_an_endpoint_is_put_with_every_option_and_its_secret_printed_once(api, pollhook, tmp_path, word):
    api.on("PUT", "/v1/endpoints/mine", MADE, status=201)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")

    ran = await pollhook(
        "endpoint", word, "mine", SHOWN["url"], "-H", "Authorization: Bearer x:y", "--event", "task.*", "--provider", "amux",
        "--where", "data", "--timeout", "5s", "--schedule", "5s, 1m", "--concurrency", "3", "--rate", "2.5",
        "--disable-after", "2d", "--ca", str(tmp_path / "ca.pem"), "--signing-key", "generate", "--store-response",
    )  # fmt: skip

    assert ran.status == 0
    assert api.asked[0].body == {
        "url": SHOWN["url"], "headers": {"Authorization": "Bearer x:y"}, "events": ["task.*"], "providers": ["amux"],
        "where": "data", "timeout": "5s", "schedule": ["5s", "1m"], "concurrency": 3, "rate": 2.5,
        "disable_after": "2d", "ca": "-----BEGIN CERTIFICATE-----", "signing_key": "generate",
        "store_response": True,
    }  # fmt: skip
    assert "whsec_new" in ran.out
    assert "told this once" in ran.err


async def test_a_replacement_without_a_new_key_says_nothing_of_keys(api, pollhook):
    api.on("PUT", "/v1/endpoints/mine", MADE | {"secret": None})

    ran = await pollhook("endpoint", "add", "mine", SHOWN["url"], "--json")

    assert (ran.err, ran.lines[0]["secret"], api.asked[0].body) == ("", None, {"url": SHOWN["url"]})


async def test_a_header_without_a_colon_is_bad_usage(api, pollhook):
    ran = await pollhook("endpoint", "add", "mine", SHOWN["url"], "-H", "Authorization")

    assert (ran.status, api.asked) == (2, [])
    assert '"Name: value"' in ran.err


async def test_an_endpoint_is_rotated_and_deleted(api, pollhook):
    api.on("POST", "/v1/endpoints/mine/rotate", MADE)
    api.on("DELETE", "/v1/endpoints/mine", SHOWN)

    turned = await pollhook("endpoint", "rotate", "mine", "--grace", "0")
    deleted = await pollhook("endpoint", "delete", "mine")

    assert api.asked[0].body == {"grace": "0", "kind": "secret"}
    assert "whsec_new" in turned.out
    assert "--state parked" in deleted.err


async def test_a_replay_without_a_name_goes_to_every_endpoint_that_is_not_disabled(api, pollhook):
    off = {"name": "off", "state": "disabled"}
    api.on("GET", "/v1/endpoints", {"data": [SHOWN, off], "next": None})
    held = {"dry_run": True, "count": 3, "by_state": {"dead": 3}, "oldest_at": None, "newest_at": None}
    api.on("POST", "/v1/endpoints/mine/replay", held)

    ran = await pollhook("replay", "--since", "2026-11-21T20:00:00Z", "--state", "dead", "--dry-run")

    assert api.asked[1].body == {"since": "2026-11-21T20:00:00+00:00", "dry_run": True, "states": ["dead"]}
    assert "3 dead" in ran.out
    assert "would be sent" in ran.out


async def test_a_window_is_bounded_by_spans_that_count_back(api, pollhook):
    api.on("POST", "/v1/endpoints/mine/replay", {"count": 0, "by_state": {}}, status=202)

    ran = await pollhook("endpoint", "replay", "mine", "--since", "2h", "--until", "1h", "--json")

    assert ran.status == 0
    assert api.asked[0].body["since"] < api.asked[0].body["until"]


async def test_one_delivery_is_sent_again_by_its_id(api, pollhook, shapes):
    api.on("POST", "/v1/deliveries/dlv_1/redeliver", shapes["delivery"], status=202)

    ran = await pollhook("redeliver", "dlv_1", "--json")

    assert (ran.status, ran.lines) == (0, [shapes["delivery"]])
