"""No write of the store is without its crash points, and nothing that reads is passed off as one."""

from __future__ import annotations

import re

import pytest

from tests.crash.points import FILES_ONLY, OF_A_COMMIT, PORTS, READS, UNREACHED, every, methods, writes


@pytest.mark.parametrize("port", PORTS)
def test_every_write_of_a_port_has_a_point_before_and_after_its_commit(port):
    asked, _ = PORTS[port]
    changing = {f"{port}.{name}" for name in methods(asked)} - {f"{port}.{name}" for name in READS[port]}

    there = set(every())

    for write in changing - FILES_ONLY - UNREACHED:
        assert {f"{write}: {moment}" for moment in OF_A_COMMIT} <= there
    for write in changing & FILES_ONLY:
        assert {f"{write}: asked", f"{write}: told"} <= there


@pytest.mark.parametrize("port", PORTS)
def test_what_is_called_a_read_is_a_method_of_its_port_and_returns_something(port):
    asked, _ = PORTS[port]

    strangers = READS[port] - set(methods(asked))

    assert not strangers
    assert all(vars(asked)[name].__annotations__["return"] != "None" for name in READS[port])


def test_what_the_real_store_offers_beyond_its_ports_changes_nothing_while_a_daemon_runs():
    beyond = {
        f"{name}.{method}"
        for name, (asked, real) in PORTS.items()
        for method in set(methods(real)) - set(methods(asked))
    }

    assert beyond == {"shelf.sweep"}, "a new method of a store class: put it in its port, so that it gets its points"


def test_points_have_names_that_are_said_once():
    assert len(every()) == len(set(every()))
    assert all(re.fullmatch(r"[a-zA-Z_. 0-9]+(: [a-z]+)?", point) for point in every())
    assert len(writes()) >= 30
