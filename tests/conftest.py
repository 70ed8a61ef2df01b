"""Logs of the code under test stay quiet unless a test asks for them; properties are tried at two depths.

`HYPOTHESIS_PROFILE=thorough` tries more examples than a developer waits for; `ci` as many, and in every run the same, so
that a red run tells of the change and not of its luck.
"""

from __future__ import annotations

import logging
import os
import signal

import pytest
import structlog
from hypothesis import Phase, settings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs us in the background has it ignored
settings.register_profile("quick", max_examples=30)
settings.register_profile("thorough", max_examples=100)
settings.register_profile("ci", max_examples=100, derandomize=True, database=None)
# For mutation testing: the same examples for each mutant, and no search for the smallest that fails.
settings.register_profile(
    "mutants", max_examples=30, derandomize=True, database=None, phases=(Phase.explicit, Phase.generate), deadline=None
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _quiet_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
