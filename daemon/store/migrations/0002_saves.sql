-- Copies of outputs: what a registration wants of them, and how each stands. What is saved lies in outputs, too.

ALTER TABLE tasks ADD COLUMN save_outputs TEXT CHECK (save_outputs IN ('never', 'afterwards', 'before_event'));

-- A row outlives its task until the file is gone, like those of outputs.
CREATE TABLE saves (
  task_id    TEXT NOT NULL,
  number     INTEGER NOT NULL,
  lane       TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('pending', 'saved', 'failed')),
  needs_auth INTEGER NOT NULL CHECK (needs_auth IN (0, 1)),
  expires_at REAL,
  tries      INTEGER NOT NULL DEFAULT 0,
  due_at     REAL,
  kind       TEXT NOT NULL,
  reason     TEXT,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  url        TEXT NOT NULL,
  PRIMARY KEY (task_id, number),
  CHECK ((state = 'pending') = (due_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX saves_due ON saves (due_at, task_id, number) WHERE state = 'pending';
CREATE INDEX outputs_by_size ON outputs (size);
