-- The first schema. Times are wall-clock seconds; wide columns stand last, so that reading the narrow ones skips them.

CREATE TABLE tasks (
  seq              INTEGER PRIMARY KEY,
  id               TEXT NOT NULL UNIQUE,
  provider         TEXT NOT NULL,
  remote_id        TEXT NOT NULL,
  status           TEXT NOT NULL CHECK (status IN
    ('queued', 'running', 'succeeded', 'failed', 'canceled', 'expired', 'lost', 'timed_out', 'stopped')),
  created_at       REAL NOT NULL,
  registered_at    REAL NOT NULL,
  updated_at       REAL NOT NULL,
  started_at       REAL,
  finished_at      REAL,
  ended_at         REAL,
  deadline_at      REAL NOT NULL,
  next_poll_at     REAL,
  polls            INTEGER NOT NULL DEFAULT 0,
  progress         REAL,
  queue_position   INTEGER,
  fetch_result     INTEGER CHECK (fetch_result IN (0, 1)),
  event_id         TEXT,
  model            TEXT,
  wishes           TEXT NOT NULL DEFAULT '[]',
  params           TEXT NOT NULL DEFAULT '[]',
  status_url       TEXT,
  next_poll_reason TEXT,
  last_miss        TEXT,
  target_endpoint  TEXT,
  target_url       TEXT,
  error            TEXT,
  outputs          TEXT NOT NULL DEFAULT '[]',
  metadata         TEXT NOT NULL DEFAULT '{}',
  CHECK (target_endpoint IS NULL OR target_url IS NULL),
  CHECK ((status IN ('queued', 'running')) = (ended_at IS NULL))
) STRICT;

CREATE UNIQUE INDEX tasks_one_live_of_a_pair ON tasks (provider, remote_id) WHERE status IN ('queued', 'running');
CREATE INDEX tasks_by_pair ON tasks (provider, remote_id);
CREATE INDEX tasks_live ON tasks (seq) WHERE status IN ('queued', 'running');
CREATE INDEX tasks_by_status ON tasks (status, id);
CREATE INDEX tasks_by_provider ON tasks (provider, id);
CREATE INDEX tasks_by_model ON tasks (model, id) WHERE model IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE claims (
  key         TEXT NOT NULL PRIMARY KEY,
  fingerprint TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE claim_tasks (
  key     TEXT NOT NULL REFERENCES claims (key) ON DELETE CASCADE,
  place   INTEGER NOT NULL,
  task_id TEXT NOT NULL REFERENCES tasks (id),
  PRIMARY KEY (key, place)
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_tasks_by_task ON claim_tasks (task_id);

-- The billing result requests: an intent while stored_at is null, then the answer.
CREATE TABLE results (
  task_id     TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  intended_at REAL NOT NULL,
  stored_at   REAL,
  outputs     TEXT NOT NULL DEFAULT '[]',
  body        TEXT NOT NULL DEFAULT 'null'
) STRICT;

-- An event outlives its task where it is still owed, so task_id refers to a task that may be gone.
CREATE TABLE events (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  type       TEXT NOT NULL,
  task_id    TEXT,
  created_at REAL NOT NULL,
  body       BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_one_ending_of_a_task ON events (task_id) WHERE type IN
  ('task.succeeded', 'task.failed', 'task.canceled', 'task.expired', 'task.lost', 'task.timed_out');
CREATE INDEX events_by_time ON events (created_at);

CREATE TABLE deliveries (
  id         TEXT NOT NULL PRIMARY KEY,
  event_id   TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
  endpoint   TEXT NOT NULL,
  url        TEXT,
  state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'parked', 'dead')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  tries      INTEGER NOT NULL DEFAULT 0,
  due_at     REAL,
  reason     TEXT,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  CHECK ((state = 'pending') = (due_at IS NOT NULL))
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_undelivered ON deliveries (endpoint, state, id) WHERE state IN ('pending', 'parked', 'dead');
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_by_event ON deliveries (event_id);

CREATE TABLE attempts (
  delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL,
  started_at  REAL NOT NULL,
  seconds     REAL NOT NULL,
  http_status INTEGER,
  refusal     TEXT,
  detail      TEXT,
  address     TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX attempts_by_time ON attempts (started_at);

CREATE TABLE lanes (
  name          TEXT NOT NULL PRIMARY KEY,
  trouble       TEXT,
  trouble_at    REAL,
  held_until_at REAL NOT NULL,
  tat_at        REAL NOT NULL,
  key_mark      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
  name            TEXT NOT NULL PRIMARY KEY,
  secret          TEXT,
  disabled_at     REAL,
  disabled_reason TEXT
) STRICT, WITHOUT ROWID;

-- Inline outputs, whose bytes lie in files; a row outlives its task until the file is gone.
CREATE TABLE outputs (
  task_id      TEXT NOT NULL,
  number       INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  size         INTEGER NOT NULL,
  sha256       TEXT NOT NULL,
  PRIMARY KEY (task_id, number)
) STRICT, WITHOUT ROWID;
