"""The outlet of the log: a reader that hangs costs lines, never time."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import TextIO

import pytest
import structlog

from daemon.observe.outlet import Outlet


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    with os.fdopen(write, "w") as stream:
        yield read, stream
    os.close(read)


def drained(read: int) -> bytes:
    found = b""
    while True:
        try:
            piece = os.read(read, 1 << 20)
        except BlockingIOError:
            return found
        if not piece:
            return found
        found += piece


def speak_through(outlet: Outlet) -> None:
    structlog.configure(
        logger_factory=lambda *_: outlet,
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


def test_lines_arrive_in_order_and_whole(pipe):
    read, stream = pipe
    outlet = Outlet(stream)

    for n in range(5):
        outlet.msg(f"{n} " + "x" * 5000)

    assert [line[:2] for line in drained(read).decode().splitlines()] == [f"{n} " for n in range(5)]


def test_what_a_hanging_reader_does_not_take_is_dropped_counted_and_told(pipe):
    read, stream = pipe
    outlet = Outlet(stream)
    speak_through(outlet)
    for n in range(1000):
        outlet.msg(f"{n} " + "x" * 1000)
    whole = [line for line in drained(read).decode().splitlines() if len(line) >= 1002]

    outlet.msg("the reader reads again")

    *_, told, last = drained(read).decode().splitlines()
    assert '"log.dropped"' in told
    assert f'"lines": {1000 - len(whole)}' in told
    assert last == "the reader reads again"


def test_a_line_torn_by_a_full_pipe_does_not_spoil_the_next(pipe):
    read, stream = pipe
    outlet = Outlet(stream)
    speak_through(outlet)

    outlet.msg("y" * 1_000_000)
    torn = drained(read)
    outlet.msg("next")

    first, told, last = drained(read).decode().splitlines()
    assert 0 < len(torn) < 1_000_000
    assert (first, last) == ("", "next")
    assert '"lines": 1' in told


def test_a_reader_that_is_gone_is_nobodys_trouble():
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        os.close(read)

        Outlet(stream).msg("into the void")


def test_a_stream_without_a_descriptor_is_written_as_it_is():
    stream = io.StringIO()

    Outlet(stream).msg("line")

    assert stream.getvalue() == "line\n"
