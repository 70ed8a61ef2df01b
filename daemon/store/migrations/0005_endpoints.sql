-- Endpoints written over the API, and the keys of every endpoint that are kept here; both sealed. Times are wall-clock.

ALTER TABLE endpoints ADD COLUMN spec BLOB;
ALTER TABLE endpoints ADD COLUMN failing_since REAL;
ALTER TABLE endpoints ADD COLUMN failing_why TEXT;

-- The column endpoints.secret of older schemas is emptied into this table when the store opens, which has the key.
CREATE TABLE endpoint_keys (
  endpoint   TEXT NOT NULL,
  place      INTEGER NOT NULL,
  version    TEXT NOT NULL CHECK (version IN ('v1', 'v1a')),
  made_at    REAL NOT NULL,
  expires_at REAL,
  sealed     BLOB NOT NULL,
  PRIMARY KEY (endpoint, place)
) STRICT, WITHOUT ROWID;
