-- A pair stands in one index at a time: among the live ones, or among those whose end the provider has told. A registration
-- writes a page of an index at random for each that it stands in.

DROP INDEX tasks_by_pair;
CREATE INDEX tasks_told_of_a_pair ON tasks (provider, remote_id)
  WHERE status IN ('succeeded', 'failed', 'canceled', 'expired');
