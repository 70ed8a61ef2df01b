"""How the copies of a task's outputs stand, read beside the task itself."""

from __future__ import annotations

import json
from typing import Any

from daemon.core.saving import SaveRecord, SaveState

SAVES_OF_TASK = """
CASE WHEN outputs = '[]' THEN NULL ELSE (
  SELECT json_group_array(json_array(number, state, size, sha256, content_type, reason)) FROM (
    SELECT saves.number, state, size, sha256, content_type, reason
    FROM saves LEFT JOIN outputs ON outputs.task_id = saves.task_id AND outputs.number = saves.number
    WHERE saves.task_id = tasks.id
    UNION ALL
    SELECT number, 'saved', size, sha256, content_type, NULL
    FROM outputs AS held
    WHERE task_id = tasks.id
      AND NOT EXISTS (SELECT 1 FROM saves WHERE saves.task_id = held.task_id AND saves.number = held.number)
  )
) END
"""
"""A column of a query over ``tasks``: how the copies of its outputs stand, as JSON."""


def save_records(text: str | None) -> tuple[SaveRecord, ...]:
    """Return how copies stand, from the column SAVES_OF_TASK."""
    return () if text is None else tuple(save_record(row) for row in json.loads(text))


def save_record(row: tuple[Any, ...]) -> SaveRecord:
    """Return how one copy stands, from a row (number, state, size, sha256, content_type, reason)."""
    number, state, size, sha256, content_type, reason = row
    return SaveRecord(
        number=number,
        state=SaveState(state),
        size=size,
        sha256=sha256,
        content_type=content_type,
        reason=reason,
    )
