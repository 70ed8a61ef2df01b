"""Limits and expectations of one provider account: what a lane, its cadence and its patience are made of."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from daemon.core.span import seconds

Span: TypeAlias = Annotated[float, BeforeValidator(seconds)]


class Table(BaseModel):
    """A table of a definition: unknown keys are mistakes, nothing changes after loading."""

    model_config = ConfigDict(
        defer_build=True, extra="forbid", frozen=True, arbitrary_types_allowed=True, populate_by_name=True
    )


class Limits(Table):
    """Bounds of one account; seconds, polls per second and bytes. Each can be set in the lane's own table."""

    rate: float = Field(10.0, gt=0, le=10_000)
    burst: float = Field(1.0, ge=1, le=10_000)
    concurrency: int = Field(50, ge=1, le=10_000)
    min_gap: Span = Field(2.0, gt=0)
    max_gap: Span = Field(60.0, gt=0)
    timeout: Span = Field(30.0, gt=0, le=600)
    deadline: Span = Field(3600.0, gt=0)
    recheck_for: Span = Field(86400.0, ge=0, le=30 * 86400)
    retention: Span = Field(86400.0, gt=0)
    max_bytes: int = Field(4 * 1024 * 1024, ge=1024, le=512 * 1024 * 1024)
    not_found_grace: Span = Field(60.0, ge=0)

    @model_validator(mode="after")
    def _gaps_in_order(self) -> Limits:
        if self.max_gap < self.min_gap:
            raise ValueError(f"max_gap ({self.max_gap:g} s) is smaller than min_gap ({self.min_gap:g} s)")
        return self

    @property
    def longest_gap(self) -> float:
        """``max_gap``, but never more than half of what the provider remembers a finished task for."""
        return max(self.min_gap, min(self.max_gap, self.retention / 2))


class Typical(Table):
    """What to expect before anything was learned: the median seconds from submit to end."""

    duration: Span = Field(60.0, gt=0)
