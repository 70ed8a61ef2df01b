BEGIN TRANSACTION;
CREATE TABLE attempts (
  delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL,
  started_at  REAL NOT NULL,
  seconds     REAL NOT NULL,
  http_status INTEGER,
  refusal     TEXT,
  detail      TEXT,
  address     TEXT, due_at REAL, dns REAL, connect REAL, tls REAL, first_byte REAL, keys TEXT NOT NULL DEFAULT '', next_at REAL, next_why TEXT, response TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempts" VALUES('dlv_01kav9ft00emsr7y639qfdf465',1,1764000061.0,0.5,204,NULL,NULL,'127.0.0.1',1764000000.0,NULL,NULL,NULL,NULL,'',NULL,NULL,NULL);
CREATE TABLE claim_tasks (
  key     TEXT NOT NULL REFERENCES claims (key) ON DELETE CASCADE,
  place   INTEGER NOT NULL,
  task_id TEXT NOT NULL REFERENCES tasks (id),
  PRIMARY KEY (key, place)
) STRICT, WITHOUT ROWID;
INSERT INTO "claim_tasks" VALUES('k1',1,'tsk_01kav9ft00e3kb7kz8medn65e1');
INSERT INTO "claim_tasks" VALUES('k1',4,'tsk_01kav9ft00etz89z7z3txv28vz');
INSERT INTO "claim_tasks" VALUES('k1',2,'tsk_01kav9ft00evqbwcy1zhev623b');
INSERT INTO "claim_tasks" VALUES('k1',3,'tsk_01kav9ft00f0nb5njn39j2ckpz');
INSERT INTO "claim_tasks" VALUES('k1',0,'tsk_01kav9ft00f6n82h855ncxzdjx');
CREATE TABLE claims (
  key         TEXT NOT NULL PRIMARY KEY,
  fingerprint TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "claims" VALUES('k1','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff');
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
INSERT INTO "deliveries" VALUES('dlv_01kav9ft00fmare4fv1rfh6085','msg_01kav9ft00fa3awdht0cggf6kv','default',NULL,'pending',0,0,1764000000.0,NULL,1764000000.0,1764000000.0);
INSERT INTO "deliveries" VALUES('dlv_01kav9ft00emsr7y639qfdf465','msg_01kav9ft00ejv90vrrddmz0svh','default',NULL,'delivered',1,1,NULL,NULL,1764000000.0,1764000061.5);
INSERT INTO "deliveries" VALUES('dlv_01kav9ft00fkcar4ft8kpmb0q0','msg_01kav9ft00eshvke3n0xtqh1n1','default',NULL,'pending',0,0,1764000000.0,NULL,1764000000.0,1764000000.0);
CREATE TABLE durations (
  lane   TEXT NOT NULL,
  model  TEXT NOT NULL,
  packed BLOB NOT NULL,
  PRIMARY KEY (lane, model)
) STRICT, WITHOUT ROWID;
INSERT INTO "durations" VALUES('amux','seedance-2.0',X'007061636B6564FF');
CREATE TABLE endpoint_keys (
  endpoint   TEXT NOT NULL,
  place      INTEGER NOT NULL,
  version    TEXT NOT NULL CHECK (version IN ('v1', 'v1a')),
  made_at    REAL NOT NULL,
  expires_at REAL,
  sealed     BLOB NOT NULL,
  PRIMARY KEY (endpoint, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE endpoints (
  name            TEXT NOT NULL PRIMARY KEY,
  secret          TEXT,
  disabled_at     REAL,
  disabled_reason TEXT
, spec BLOB, failing_since REAL, failing_why TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "endpoints" VALUES('default','whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "endpoints" VALUES('old',NULL,1764000000.0,'answered 410',NULL,NULL,NULL);
CREATE TABLE events (
  seq        INTEGER PRIMARY KEY AUTOINCREMENT,
  id         TEXT NOT NULL UNIQUE,
  type       TEXT NOT NULL,
  task_id    TEXT,
  created_at REAL NOT NULL,
  body       BLOB NOT NULL
) STRICT;
INSERT INTO "events" VALUES(1,'msg_01kav9ft00fa3awdht0cggf6kv','task.succeeded','tsk_01kav9ft00e3kb7kz8medn65e1',1764000000.0,X'7B2261223A20317D');
INSERT INTO "events" VALUES(2,'msg_01kav9ft00ejv90vrrddmz0svh','task.failed','tsk_01kav9ft00evqbwcy1zhev623b',1764000000.0,X'7B2261223A20317D');
INSERT INTO "events" VALUES(3,'msg_01kav9ft00eshvke3n0xtqh1n1','task.succeeded','tsk_01kav9ft00etz89z7z3txv28vz',1764000000.0,X'7B2261223A20317D');
CREATE TABLE held (
  task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  lacks   TEXT NOT NULL CHECK (lacks IN ('copies', 'result')),
  ended   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lanes (
  name          TEXT NOT NULL PRIMARY KEY,
  trouble       TEXT,
  trouble_at    REAL,
  held_until_at REAL NOT NULL,
  tat_at        REAL NOT NULL,
  key_mark      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "lanes" VALUES('amux','credentials',1764000000.0,0.0,1.5,'ab');
CREATE TABLE outputs (
  task_id      TEXT NOT NULL,
  number       INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  size         INTEGER NOT NULL,
  sha256       TEXT NOT NULL,
  PRIMARY KEY (task_id, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "outputs" VALUES('tsk_01kav9ft00e3kb7kz8medn65e1',0,'image/png',5,'277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9');
CREATE TABLE rechecks (
  task_id  TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  until_at REAL NOT NULL,
  late     TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE results (
  task_id     TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  intended_at REAL NOT NULL,
  stored_at   REAL,
  outputs     TEXT NOT NULL DEFAULT '[]',
  body        TEXT NOT NULL DEFAULT 'null'
) STRICT;
INSERT INTO "results" VALUES('tsk_01kav9ft00f0nb5njn39j2ckpz',1764000005.0,NULL,'[]','null');
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
INSERT INTO "saves" VALUES('tsk_01kav9ft00e3kb7kz8medn65e1',1,'amux','failed',0,NULL,0,NULL,'video',NULL,1764000000.0,1764000000.0,'https://cdn.example.com/b.mp4');
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
  metadata         TEXT NOT NULL DEFAULT '{}', save_outputs TEXT CHECK (save_outputs IN ('never', 'afterwards', 'before_event')), recheck INTEGER CHECK (recheck IN (0, 1)),
  CHECK (target_endpoint IS NULL OR target_url IS NULL),
  CHECK ((status IN ('queued', 'running')) = (ended_at IS NULL))
) STRICT;
INSERT INTO "tasks" VALUES(1,'tsk_01kav9ft00f6n82h855ncxzdjx','amux','job-0','queued',1764000000.0,1764000001.0,1764000001.0,NULL,NULL,NULL,1764003600.0,NULL,0,NULL,NULL,NULL,NULL,'seedance-2.0','[]','[["model","seedance-2.0"]]',NULL,NULL,NULL,'default',NULL,NULL,'[]','{}',NULL,NULL);
INSERT INTO "tasks" VALUES(2,'tsk_01kav9ft00e3kb7kz8medn65e1','amux','job-1','succeeded',1764000000.0,1764000001.0,1764000060.0,NULL,NULL,1764000060.0,1764003600.0,NULL,3,NULL,NULL,NULL,'msg_01kav9ft00fa3awdht0cggf6kv','seedance-2.0','[]','[["model","seedance-2.0"]]',NULL,NULL,NULL,'default',NULL,NULL,'[{"url":"https://cdn.example.com/a.mp4","kind":"video","needs_auth":false,"expires_at":null}]','{}',NULL,NULL);
INSERT INTO "tasks" VALUES(3,'tsk_01kav9ft00evqbwcy1zhev623b','amux','job-2','failed',1764000000.0,1764000001.0,1764000060.0,NULL,NULL,1764000060.0,1764003600.0,NULL,3,NULL,NULL,NULL,'msg_01kav9ft00ejv90vrrddmz0svh','seedance-2.0','[]','[["model","seedance-2.0"]]',NULL,NULL,NULL,'default',NULL,NULL,'[]','{}',NULL,NULL);
INSERT INTO "tasks" VALUES(4,'tsk_01kav9ft00f0nb5njn39j2ckpz','amux','job-3','queued',1764000000.0,1764000001.0,1764000001.0,NULL,NULL,NULL,1764003600.0,NULL,0,NULL,NULL,NULL,NULL,'seedance-2.0','[]','[["model","seedance-2.0"]]',NULL,NULL,NULL,'default',NULL,NULL,'[]','{}',NULL,NULL);
INSERT INTO "tasks" VALUES(5,'tsk_01kav9ft00etz89z7z3txv28vz','amux','job-url','succeeded',1764000000.0,1764000001.0,1764000060.0,NULL,NULL,1764000060.0,1764003600.0,NULL,3,NULL,NULL,NULL,'msg_01kav9ft00eshvke3n0xtqh1n1','seedance-2.0','[]','[["model","seedance-2.0"]]',NULL,NULL,NULL,NULL,'https://app.example.com/hook',NULL,'[]','{"order":17,"who":"\u00e9"}',NULL,NULL);
CREATE UNIQUE INDEX tasks_one_live_of_a_pair ON tasks (provider, remote_id) WHERE status IN ('queued', 'running');
CREATE INDEX tasks_by_pair ON tasks (provider, remote_id);
CREATE INDEX tasks_live ON tasks (seq) WHERE status IN ('queued', 'running');
CREATE INDEX tasks_by_status ON tasks (status, id);
CREATE INDEX tasks_by_provider ON tasks (provider, id);
CREATE INDEX tasks_by_model ON tasks (model, id) WHERE model IS NOT NULL;
CREATE INDEX tasks_by_end ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX claim_tasks_by_task ON claim_tasks (task_id);
CREATE UNIQUE INDEX events_one_ending_of_a_task ON events (task_id) WHERE type IN
  ('task.succeeded', 'task.failed', 'task.canceled', 'task.expired', 'task.lost', 'task.timed_out');
CREATE INDEX events_by_time ON events (created_at);
CREATE INDEX deliveries_due ON deliveries (due_at, id) WHERE state = 'pending';
CREATE INDEX deliveries_undelivered ON deliveries (endpoint, state, id) WHERE state IN ('pending', 'parked', 'dead');
CREATE INDEX deliveries_by_state ON deliveries (state, id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, id);
CREATE INDEX deliveries_by_event ON deliveries (event_id);
CREATE INDEX attempts_by_time ON attempts (started_at);
CREATE INDEX saves_due ON saves (due_at, task_id, number) WHERE state = 'pending';
CREATE INDEX outputs_by_size ON outputs (size);
CREATE INDEX rechecks_owed ON rechecks (task_id) WHERE late IS NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',3);
COMMIT;
PRAGMA application_id = 1349479532;
PRAGMA user_version = 7;
