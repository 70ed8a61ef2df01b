-- Ends that were seen and are not told yet, since they wait for copies of their outputs or for their result.
-- A row goes with the end that is told, the stop or the task.
CREATE TABLE held (
  task_id TEXT NOT NULL PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
  lacks   TEXT NOT NULL CHECK (lacks IN ('copies', 'result')),
  ended   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
