"""Redaction: no spelling of a key and no inline bytes pass, and no text costs more than its length."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.core.redaction import MASK, masking, without_bytes

KEY = "sk-a/b+c==dEf'Gh\"12345"
SPELLINGS = {
    "plain": KEY,
    "percent-encoded": quote(KEY, safe=""),
    "percent-encoded but for slashes": quote(KEY),
    "percent-encoded in lower case": quote(KEY, safe="").replace("%2F", "%2f").replace("%2B", "%2b"),
    "percent-encoded in both cases": quote(KEY, safe="").replace("%2F", "%2f"),
    "percent-encoded twice": quote(quote(KEY, safe=""), safe=""),
    "escaped as JSON": json.dumps(KEY)[1:-1],
    "escaped as JSON with slashes": json.dumps(KEY)[1:-1].replace("/", "\\/"),
    "escaped as JSON by code": KEY.replace("/", "\\u002F").replace("+", "\\u002b"),
    "as Python shows it": repr(KEY)[1:-1],
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "base64 without padding": base64.b64encode(KEY.encode()).decode().rstrip("="),
    "hex": KEY.encode().hex(),
    "hex in capitals": KEY.encode().hex().upper(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_key_is_masked_in_every_spelling(spelling: str) -> None:
    told = masking([KEY])(f"a {spelling} b {spelling}")

    assert spelling not in told
    assert told.startswith(f"a {MASK}")
    assert len(told) < 4 + 2 * len(MASK) + 8


@pytest.mark.parametrize("before", ["", "B", "Be", "Bea", "Authorization: Bearer "])
def test_a_key_is_masked_in_the_midst_of_base64(before: str) -> None:
    text = base64.b64encode(f"{before}{KEY} and more".encode()).decode()

    told = masking([KEY])(text)

    assert MASK in told
    assert len(told.replace(MASK, "")) <= len(text) - len(KEY) * 4 // 3 + 2


def test_of_two_secrets_the_longer_goes_first() -> None:
    assert masking(["password", "user:password"])("user:password, password") == f"{MASK}, {MASK}"


def test_secrets_too_short_to_be_told_from_chance_are_let_stand() -> None:
    assert masking(["abc", ""], shortest=6)("abc") == "abc"
    assert masking([])("abc") == "abc"


@example(key="00000%", around="")
@given(
    key=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x10FFFF), min_size=6, max_size=40), around=st.text()
)
def test_whatever_its_characters_a_key_is_masked_where_it_can_be_written(key: str, around: str) -> None:
    mask = masking([key])

    for spelling in (key, quote(key, safe="", errors="surrogatepass"), json.dumps(key)[1:-1]):
        assert mask(spelling) == MASK
    assert key not in mask(around + key + around).replace(MASK, "\0")


def test_names_and_values_are_masked_in_one_pass_with_inline_bytes() -> None:
    body = {KEY: [KEY, {"n": 1, "x": None}], "u": "data:video/mp4;base64," + "A" * 5000, "t": "see data:a/b;base64,AA."}

    assert without_bytes(body, masking([KEY])) == {
        MASK: [MASK, {"n": 1, "x": None}],
        "u": "[data: URI, 5022 characters, left out]",
        "t": "see [data: URI, 18 characters, left out].",
    }


@pytest.mark.parametrize(
    "text",
    ["data:,x", "DATA:text/plain;charset=utf-8,x%20y", "data:video/mp4;base64,AAAA", "data:" + "A" * 70_000],
)  # fmt: skip
def test_a_data_uri_is_named_by_its_length(text: str) -> None:
    assert without_bytes(text) == f"[data: URI, {len(text)} characters, left out]"


@pytest.mark.parametrize("text", ["data: the rest", "metadata: 5, 6", "", "data:", "data:" + "a" * 300, "a;b,c"])
def test_what_only_looks_a_little_like_a_data_uri_stays(text: str) -> None:
    assert without_bytes(text) == text


def test_a_text_past_a_mebibyte_is_named_by_its_length() -> None:
    assert without_bytes(" x" * 600_000) == "[text, 1200000 characters, left out]"


def slowest(text: str) -> float:
    """Seconds of processor time for the text, the best of three: what others run meanwhile does not count."""
    mask, times = masking([KEY]), []
    for _ in range(3):
        begun = time.thread_time()
        without_bytes([text], mask)
        times.append(time.thread_time() - begun)
    return min(times)


PIECES = ["data:", "data:" + "a" * 127, "data:" + "a" * 127 + "/" + "b" * 127, "data:" + "a" * 254, ";base64,", ";a=b",
          ";" + "x" * 64, "%25", "%", "\\", "sk-", KEY[:-1], "data:;base64,", "dATa", "d", "/", "a" * 700 + " "]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("head", ["data:", "x;base64,", "x"])
def test_no_text_of_a_quarter_mebibyte_costs_50_ms(piece: str, head: str) -> None:
    assert slowest(head + " " + piece * (256 * 1024 // len(piece))) < 0.05


@given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), head=st.sampled_from(["data:", "x;base64, "]))
def test_the_time_grows_no_faster_than_the_text(pieces: list[str], head: str) -> None:
    unit = "".join(pieces)

    assert slowest(head + unit * (32_000 // len(unit) + 1)) < 0.01
