-- Tasks that timed out and are still asked about now and then, and what the provider said of them too late.
-- A row without `late` is owed re-checks until `until_at`; with it, it is part of the task's record.
ALTER TABLE tasks ADD COLUMN recheck INTEGER CHECK (recheck IN (0, 1));

CREATE TABLE rechecks (
  task_id  TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  until_at REAL NOT NULL,
  late     TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX rechecks_owed ON rechecks (task_id) WHERE late IS NULL;
