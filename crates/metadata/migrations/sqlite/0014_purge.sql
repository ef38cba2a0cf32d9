-- Purge policies: what is removed from a registry by and by. The resource says what its owner wrote; here is what running it
-- needs. spec is JSON; next_run_at is NULL while nothing is due (switched off, or run by hand only).
CREATE TABLE purge_policies (
    resource_key TEXT PRIMARY KEY NOT NULL,
    registry_id  BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    spec         TEXT NOT NULL,
    schedule     TEXT,
    next_run_at  BIGINT
) WITHOUT ROWID;
CREATE INDEX purge_policies_due ON purge_policies (next_run_at) WHERE next_run_at IS NOT NULL;
CREATE INDEX purge_policies_by_registry ON purge_policies (registry_id);

-- Their runs. totals and report are JSON; ended_at is NULL while a run goes on.
CREATE TABLE purge_runs (
    id           TEXT PRIMARY KEY NOT NULL,
    registry_id  BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    resource_key TEXT NOT NULL REFERENCES purge_policies (resource_key) ON DELETE CASCADE,
    is_dry_run   BOOLEAN NOT NULL,
    status       TEXT NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    totals       TEXT NOT NULL,
    report       TEXT,
    error        TEXT
) WITHOUT ROWID;
CREATE INDEX purge_runs_by_policy ON purge_runs (resource_key, started_at, id);
CREATE INDEX purge_runs_by_registry ON purge_runs (registry_id);
