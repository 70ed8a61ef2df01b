"""SQLite behind the engine's ports: one writer with group commit, readers on their own connection."""
