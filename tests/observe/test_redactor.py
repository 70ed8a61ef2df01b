from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from daemon.observe.redactor import Redactor

KEY = 'k3y/with "quotes"+and spaces=='
HOOK = base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (f"the key {KEY} was refused", KEY),
        (f"path /v1/{quote(KEY, safe='')}/x", quote(KEY, safe="")),
        (f"path /v1/{quote(KEY)}/x", quote(KEY)),
        (f"body {json.dumps({'key': KEY})}", json.dumps(KEY)[1:-1]),
        (f"said {KEY!r}", "quotes"),
        (f"signed with whsec_{HOOK}", HOOK),
        (f"decoded {HOOK} alone", HOOK),
    ],
)
def test_a_known_secret_is_masked_however_it_is_spelled(text, gone):
    redactor = Redactor([KEY, f"whsec_{HOOK}"])

    clean = redactor.text(text)

    assert gone not in clean
    assert "[redacted]" in clean


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw= x", "[redacted] x"),
        ("whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZ", "[redacted]"),
        ("key sk-proj-abcdefgh12345678!", "key [redacted]!"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic [redacted]"),
        ("see https://a.example/x?token=1&b=2 now", "see https://a.example/x now"),
        ("see https://me:pw@a.example/x#frag", "see https://a.example/x"),
        ("<https://a.example?x=1>", "<https://a.example>"),
        ("no secret: tsk_01 is risk-free at 10:30", "no secret: tsk_01 is risk-free at 10:30"),
    ],
)
def test_what_looks_like_a_secret_is_masked_unasked(text, clean):
    assert Redactor().text(text) == clean


def test_what_is_named_like_a_secret_is_masked_at_any_depth():
    event = {
        "api_key": "a",
        "Authorization": "b",
        "token": 7,
        "previous_secrets": ["c"],
        "nested": {"list": [{"client_secret": "d"}]},
        "secret": None,
        "fingerprint": "e",
    }

    clean = Redactor()(None, "info", event)

    assert clean == {
        "api_key": "[redacted]",
        "Authorization": "[redacted]",
        "token": "[redacted]",
        "previous_secrets": "[redacted]",
        "nested": {"list": [{"client_secret": "[redacted]"}]},
        "secret": None,
        "fingerprint": "e",
    }


def test_objects_and_exceptions_are_cleaned_as_text():
    class Odd:
        def __repr__(self) -> str:
            return f"<Odd {KEY}>"

    clean = Redactor([KEY])(None, "info", {"a": Odd(), "b": ValueError(KEY), "c": (KEY,), KEY: 1, "d": b"key"})

    assert KEY not in repr(clean)
    assert clean["b"] == "[redacted]"
    assert clean["d"] == "[3 bytes]"


def test_a_very_short_secret_does_not_mask_every_line():
    assert Redactor(["a", ""]).text("a banana") == "a banana"


def test_a_very_long_text_is_cut_and_a_deep_one_bounded():
    deep: dict[str, object] = {}
    for _ in range(200):
        deep = {"in": deep}

    clean = Redactor()(None, "info", {"long": "x" * 100_000, "deep": deep})

    assert len(clean["long"]) < 17_000
    assert len(repr(clean["deep"])) < 20_000


@given(
    st.text(min_size=6).filter(lambda s: len(s.strip()) >= 6 and s.strip() not in "[redacted]"), st.text(), st.text()
)
def test_no_known_secret_ever_passes(secret, before, after):
    clean = Redactor([secret]).text(f"{before}{secret}{after}")

    assert secret.strip() not in clean.replace("[redacted]", "")


@pytest.mark.parametrize("place", ["value", "event", "exception", "key", "nested"])
def test_no_known_secret_passes_by_any_way_into_a_line(lines, stream, redactor, place):
    redactor.add(KEY)
    log = structlog.get_logger()

    if place == "exception":
        try:
            raise RuntimeError(KEY)
        except RuntimeError:
            log.exception("crashed")
    elif place == "event":
        log.info(KEY)
    else:
        log.info("said", **{"value": {"x": KEY}, "key": {KEY: 1}, "nested": {"x": [{"y": (KEY,)}]}}[place])

    assert len(lines()) == 1
    assert json.dumps(KEY)[1:-1] not in stream.getvalue()


def test_the_thousandth_secret_costs_no_more_to_learn_than_the_first_and_every_one_is_masked():
    secrets = [f"{n:06d}+Ab/cdEFgh+IjklMnop/QrstUvwx=" for n in range(1000)]
    redactor, sizes = Redactor(), []
    before = set(re._cache)

    for secret in secrets:
        redactor.add(f"whsec_{secret}")
    sizes = [len(key[1]) for key in re._cache if key not in before]

    assert max(sizes) < 6000
    assert redactor.text(" ".join(secrets[n] for n in (0, 3, 4, 500, 999))) == " ".join(["[redacted]"] * 5)
