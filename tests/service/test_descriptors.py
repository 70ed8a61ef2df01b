"""Bounds that do not fit into the open files allowed are lowered, and past a point the start is refused."""

from __future__ import annotations

import resource

import pytest

from daemon.config import Settings, files_needed
from daemon.core.errors import Fault
from daemon.service.descriptors import fitted


@pytest.mark.parametrize("files", [80, 100, 256, 600, 1024, 1500])
def test_lowered_bounds_fit_into_what_is_allowed(files):
    lower = fitted(Settings(), files)

    sockets = lower.polling.max_in_flight + lower.delivery.max_in_flight + 2 * lower.outputs.max_in_flight
    assert sockets + lower.server.max_connections <= files - 20, "and room for the database and the log"
    assert min(lower.polling.max_in_flight, lower.delivery.max_in_flight, lower.server.max_connections) >= 4


@pytest.mark.parametrize("files", [files_needed(Settings()), 65536, resource.RLIM_INFINITY])
def test_bounds_that_fit_stay(files):
    assert fitted(Settings(), files) == Settings()


def test_what_was_set_is_still_what_was_set():
    settings = Settings.model_validate({"server": {"auth": "token"}, "polling": {"max_in_flight": 5000}})

    assert "listen" not in fitted(settings, 1024).server.model_fields_set


def test_hardly_any_files_are_refused_with_what_to_do():
    with pytest.raises(Fault, match=r"only 40 open files .* LimitNOFILE= or ulimit -n"):
        fitted(Settings(), 40)
