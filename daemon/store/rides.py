"""Rides: changes that wait for a transaction, each on a savepoint, so that one that fails takes nobody with it.

Changes of one kind are made together, in few statements: each statement hands the interpreter's lock over twice, which
costs more than the row it writes. Where making them together fails, each is made alone, and fails alone. All of them
wait at the same moment, so none of their callers can tell in which order they were made.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from daemon.core.errors import StoreFault
from daemon.store.faults import is_fatal

Change: TypeAlias = Callable[[sqlite3.Connection], object]
Together: TypeAlias = Callable[[Sequence[Any], sqlite3.Connection], Sequence[object]]
"""Makes the changes of several rides in order, and returns the result of each."""


class Ride:
    """One change waiting for its transaction, and its caller waiting for the outcome."""

    __slots__ = ("_change", "_error", "_result", "item", "together", "told", "weight")

    def __init__(self, change: Change, weight: int) -> None:
        self._change = change
        self._result: object = None
        self._error: Exception | None = None
        self.together: Together | None = None
        self.item: object = None
        self.told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.weight = weight

    @classmethod
    def shared(cls, together: Together, item: object, weight: int) -> Ride:
        """Return a ride that is made by *together* with those of its kind that wait for the same transaction."""
        ride = cls(partial(_alone, together, item), weight)
        ride.together, ride.item = together, item
        return ride

    def run(self, connection: sqlite3.Connection) -> None:
        """Make the change on its own savepoint; raise only what fails the whole transaction."""
        connection.execute("SAVEPOINT ride")
        try:
            self._result = self._change(connection)
        except Exception as error:
            if is_fatal(error) or not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO ride")
            self._error = RuntimeError("a change ran dry") if isinstance(error, StopIteration) else error
        connection.execute("RELEASE ride")

    def has_made(self, result: object) -> None:
        """Keep the result of a change that was made with others."""
        self._result = result

    def tell(self) -> None:
        """Tell the caller how its change went, after the commit."""
        if self.told.done():
            return
        if self._error is None:
            self.told.set_result(self._result)
        else:
            self.told.set_exception(self._error)

    def fail(self, fault: StoreFault) -> None:
        """Tell the caller that nothing was committed, as far as is known."""
        if not self.told.done():
            self.told.set_exception(fault)


def run_all(rides: Sequence[Ride], connection: sqlite3.Connection) -> None:
    """Make the changes of *rides*, kind by kind, each kind in order; raise only what fails the whole transaction."""
    kinds: dict[object, list[Ride]] = {}
    for ride in rides:
        kinds.setdefault(ride.together or ride, []).append(ride)
    for some in kinds.values():
        together = some[0].together
        if together is None or len(some) == 1 or not _are_made(together, some, connection):
            for ride in some:
                ride.run(connection)


def _are_made(together: Together, rides: Sequence[Ride], connection: sqlite3.Connection) -> bool:
    connection.execute("SAVEPOINT rides")
    try:
        results = together([ride.item for ride in rides], connection)
    except Exception as error:
        if is_fatal(error) or not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO rides")
        connection.execute("RELEASE rides")
        return False
    connection.execute("RELEASE rides")
    for ride, result in zip(rides, results, strict=True):
        ride.has_made(result)
    return True


def _alone(together: Together, item: object, connection: sqlite3.Connection) -> object:
    return together([item], connection)[0]
