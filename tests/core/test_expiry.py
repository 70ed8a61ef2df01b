"""When signed links end, by the providers' own spellings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.expiry import dated, expires_at
from daemon.core.observation import Output
from daemon.core.size import size_in_bytes, spoken_size


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("query", "ends"),
    [
        ("X-Amz-Date=20261121T200000Z&X-Amz-Expires=3600&X-Amz-Signature=ab", "2026-11-21T21:00:00"),
        ("x-amz-expires=60&x-amz-date=20261121T200000Z", "2026-11-21T20:01:00"),
        ("X-Goog-Algorithm=g&X-Goog-Date=20261121T200000Z&X-Goog-Expires=900", "2026-11-21T20:15:00"),
        ("x-oss-date=20261121T200000Z&x-oss-expires=600", "2026-11-21T20:10:00"),
        ("X-Tos-Date=20261121T200000Z&X-Tos-Expires=86400", "2026-11-22T20:00:00"),
        ("Expires=1795290000&OSSAccessKeyId=x&Signature=y", "2026-11-21T19:40:00"),
        ("x-oss-expires=1795290000", "2026-11-21T19:40:00"),
        ("x-expires=1795290000&x-signature=z", "2026-11-21T19:40:00"),
        ("q-sign-time=1795280000;1795290000&q-signature=z", "2026-11-21T19:40:00"),
        ("sv=2024-01-01&se=2026-11-21T20%3A11%3A40Z&sig=ab", "2026-11-21T20:11:40"),
        ("se=2026-11-21&sig=ab", "2026-11-21T00:00:00"),
        ("X-Amz-Date=20261121T200000Z&X-Amz-Expires=3600&Expires=1795290000", "2026-11-21T19:40:00"),
    ],
)
def test_a_signed_link_says_when_it_ends(query, ends):
    assert expires_at(f"https://cdn.example.com/v.mp4?{query}") == at(ends)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "X-Amz-Expires=3600",
        "X-Amz-Date=20261121T200000Z",
        "X-Amz-Date=20261399T200000Z&X-Amz-Expires=3600",
        "X-Amz-Date=20261121T200000Z&X-Amz-Expires=-5",
        "Expires=3600",
        "Expires=never",
        "Expires=99999999999999999999",
        "se=2026-11-21T20:11:40Z",
        "se=tomorrow&sig=a",
        "&".join(f"a{n}=1" for n in range(300)) + "&Expires=1795290000",
    ],
)
def test_a_link_that_does_not_say_so_has_no_known_end(query):
    assert expires_at(f"https://cdn.example.com/v.mp4?{query}") is None


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text):
    expires_at(text)
    expires_at(f"https://x/?{text}&X-Amz-Date={text}&X-Amz-Expires={text}&se={text}&sig=1&Expires={text}")


def test_what_the_provider_said_itself_stands():
    told = Output(url="https://x/v?Expires=1795290000", kind="video", expires_at=5.0)

    assert dated(told).expires_at == 5.0
    assert dated(Output(url=told.url, kind="video")).expires_at == 1795290000.0


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("2GiB", 2**31), (7, 7), ("1.5 kib", 1536), ("12", 12)]
)
def test_sizes_are_read_as_people_write_them(text, size):
    assert size_in_bytes(text) == size
    assert size_in_bytes(spoken_size(size)) == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "1 apple", "1e9", True])
def test_what_is_no_size_is_refused_with_what_is_allowed(text):
    with pytest.raises(ValueError, match="write a number with a unit"):
        size_in_bytes(text)
