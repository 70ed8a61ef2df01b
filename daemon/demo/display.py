"""Live progress: a table that keeps changing on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from daemon.demo.job import Entry

LINE_GAP = 3.0


class Display:
    """Shows how far the show has come; ``say`` is for what happens once."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._began = time.monotonic()
        self._next_line = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        """Take the terminal."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def say(self, what: str) -> None:
        """Print one line that stays."""
        self._console.print(f"[dim]{self._elapsed():5.1f} s[/dim]  {what}", highlight=False)

    def update(self, registered: int, truth: Sequence[Entry], delivered: Counter[str]) -> None:
        """Show the present state: *delivered* counts the endings that arrived, by provider."""
        if self._live is not None:
            self._live.update(self._drawn(registered, truth, delivered), refresh=True)
        elif self._elapsed() >= self._next_line:
            self._next_line = self._elapsed() + LINE_GAP
            ended = sum(job["has_ended"] for job in truth)
            self.say(f"{registered} registered, {ended} ended, {delivered.total()} of {self._total} webhooks verified")

    def _drawn(self, registered: int, truth: Sequence[Entry], delivered: Counter[str]) -> Group:
        grid = Table(box=None, pad_edge=False)
        for name in ("provider", "submitted", "ended", "delivered", ""):
            grid.add_column(name, justify="left" if name in ("", "provider") else "right")
        for provider in dict.fromkeys(job["provider"] for job in truth):
            jobs = [job for job in truth if job["provider"] == provider]
            ended, told = sum(job["has_ended"] for job in jobs), delivered[provider]
            bar = ProgressBar(total=len(jobs), completed=told, width=30)
            grid.add_row(provider, str(len(jobs)), str(ended), str(told), bar)
        head = Text(f"{self._elapsed():5.1f} s  {registered} of {self._total} tasks registered", style="bold")
        return Group(head, grid)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began
