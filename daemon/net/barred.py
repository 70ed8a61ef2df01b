"""The one way in which the guard stops a connection; apart, so that whoever reads failures need not know the guard."""

from __future__ import annotations


class Barred(Exception):
    """The egress rules forbid this address; the text is the reason, for the log alone.

    Deliberately no OSError: the connector would go on to the next address of the name.
    """
