-- What was learned of how long tasks take: one packed life table per lane (model '') and per model in it.
CREATE TABLE durations (
  lane   TEXT NOT NULL,
  model  TEXT NOT NULL,
  packed BLOB NOT NULL,
  PRIMARY KEY (lane, model)
) STRICT, WITHOUT ROWID;
