"""SQLite behind the engine's ports: one writer with group commit, readers on their own connection.

``opening`` makes a file a database of ours, ``database`` is the one gate to it, ``watchlist``, ``outbox``, ``ledger``
and ``shelf`` are the ports, ``store`` opens all of them together, and ``keys`` keeps the small secret files beside it.
``backup``, ``restore`` and ``upgrade`` copy it whole: while it runs, back into its place, before a migration.
"""
