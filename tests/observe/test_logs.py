from __future__ import annotations

import asyncio
import io
import logging
import os
import re
import warnings

import pytest
import structlog

from daemon.observe.logs import configure, is_journal
from daemon.observe.redactor import Redactor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_line_is_one_json_object_that_begins_with_time_level_and_event(lines):
    structlog.get_logger().info("delivery.attempted", code=204, retry_in=None)

    (line,) = lines()
    assert list(line) == ["timestamp", "level", "event", "code", "retry_in"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert (line["level"], line["event"], line["code"], line["retry_in"]) == ("info", "delivery.attempted", 204, None)


def test_a_line_stays_one_line_and_json_whatever_it_holds(lines):
    structlog.get_logger().info("a\nb", text="\ud800 \x1b[2J \u2028", number=float("nan"), blob=b"\xff", odd=object)

    (line,) = lines()
    assert line["number"] == "nan"
    assert line["blob"] == "[1 bytes]"


def test_a_level_below_the_threshold_is_silent(lines):
    structlog.get_logger().debug("quiet")

    assert lines() == []


def test_the_level_can_be_changed_while_running(lines, stream, redactor):
    log = structlog.get_logger()
    log.debug("before")

    configure("debug", "auto", stream, redactor)
    log.debug("after")

    assert [line["event"] for line in lines()] == ["after"]


def test_an_exception_is_plain_text_without_secrets(lines, redactor):
    redactor.add("hunter2hunter2")
    try:
        raise ValueError("the key hunter2hunter2 at https://a.example/?k=other")
    except ValueError:
        structlog.get_logger().exception("work.crashed")

    (line,) = lines()
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError: the key [redacted] at https://a.example/")
    assert "│" not in line["exception"]


def test_a_terminal_gets_colours_and_nothing_that_steers_it():
    stream = Terminal()
    configure("info", "auto", stream, Redactor())

    structlog.get_logger().info("provider.word_unknown", word="\x1b[2J\u202eevil")

    text = stream.getvalue()
    assert "\x1b[0m" in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(("style", "starts"), [("json", "{"), ("console", "2")])
def test_a_style_that_is_named_holds_everywhere(style, starts):
    for stream in (Terminal(), io.StringIO()):
        configure("info", style, stream, Redactor())
        structlog.get_logger().info("ready")
        assert stream.getvalue().removeprefix("\x1b[2m").startswith(starts)


@pytest.mark.parametrize(("level", "priority"), [("info", 6), ("warning", 4), ("error", 3)])
def test_the_journal_gets_a_priority(stream, redactor, level, priority):
    configure("info", "auto", stream, redactor, journal=True)

    getattr(structlog.get_logger(), level)("ready")

    assert stream.getvalue().startswith(f'<{priority}>{{"timestamp":')


def test_the_journal_is_known_by_its_inode(tmp_path):
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "8:1"})
        assert not is_journal(stream, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "8:1"})


async def test_what_asyncio_says_comes_out_alike_without_secrets(lines, redactor):
    redactor.add("hunter2hunter2")

    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError("hunter2hunter2")}
    )

    (line,) = lines()
    assert (line["event"], line["level"]) == ("asyncio", "error")
    assert line["message"].startswith("Task exception was never retrieved")
    assert "ValueError: [redacted]" in line["exception"]


def test_libraries_are_heard_from_warning_up(lines):
    logging.getLogger("aiohttp.access").info("GET /")
    logging.getLogger("aiohttp.server").warning("bad %s", "request")

    assert [line["message"] for line in lines()] == ["bad request"]


def test_a_python_warning_is_a_log_line(lines):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)

    assert "old thing" in lines()[-1]["message"]


def test_a_broken_stream_stops_no_work(redactor):
    configure("info", "auto", Broken(), redactor)

    structlog.get_logger().info("ready")


def test_context_is_on_every_line(lines):
    with structlog.contextvars.bound_contextvars(lane="amux"):
        structlog.get_logger().info("lane.parked")

    assert lines()[0]["lane"] == "amux"
