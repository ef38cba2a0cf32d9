-- Work that is done later, or again. Whoever runs a job holds it under a lease, and numbers count the leases of a job, so
-- that a holder whose lease went to another can be told apart.
CREATE TABLE jobs (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    kind                TEXT NOT NULL,
    -- While the job is open: no second one with this key and kind.
    open_key            TEXT,
    -- Goes with its registry.
    registry_id         BIGINT REFERENCES registries (id) ON DELETE CASCADE,
    -- The registry, or 0: between these, turns are taken.
    lane                BIGINT NOT NULL,
    state               TEXT NOT NULL,   -- Pending, Running, Succeeded, Failed, Canceled
    payload             TEXT NOT NULL,   -- JSON, as are the next four
    checkpoint          TEXT,            -- from where the next attempt goes on
    progress            TEXT,            -- what is shown of it
    result              TEXT,
    error               TEXT,            -- why the last attempt failed: message, details
    -- Since the last checkpoint that was a new one.
    attempts            BIGINT NOT NULL DEFAULT 0,
    lease_number        BIGINT NOT NULL DEFAULT 0,
    lease_holder        TEXT,            -- the process
    -- When somebody may take it: while pending, from when on it is to run; while running, when the lease is over.
    due_at              BIGINT NOT NULL,
    created_at          BIGINT NOT NULL,
    started_at          BIGINT,
    ended_at            BIGINT,
    cancel_requested_at BIGINT
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (kind, open_key) WHERE open_key IS NOT NULL;
CREATE INDEX jobs_open ON jobs (kind, lane, due_at) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX jobs_by_creation ON jobs (created_at, id);
CREATE INDEX jobs_by_registry ON jobs (registry_id) WHERE registry_id IS NOT NULL;
