"""How far a machine goes: some dozen examples for a developer, more under ``HYPOTHESIS_PROFILE=thorough`` or ``ci``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

IS_THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") in ("thorough", "ci")
PATIENCE = 900
"""Seconds for one machine: what it finds is first made small, and a finding cut off there would look like a hang."""


def depth(examples: int, steps: int) -> settings:
    """Return the settings of a machine: *examples* of at most *steps* steps, twice as many where thorough."""
    return settings(
        max_examples=examples * (2 if IS_THOROUGH else 1),
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
