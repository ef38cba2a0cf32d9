-- Deployments of templates: the newest under each name, with what it came to. A deployment is history: what it deployed
-- goes on without it.
CREATE TABLE deployments (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment_key   TEXT NOT NULL UNIQUE, -- the id in lower case
    deployment_id    TEXT NOT NULL,
    scope_key        TEXT NOT NULL,        -- the id of the group or subscription, in lower case
    run_id           TEXT NOT NULL,        -- another one each time the name is deployed again
    location         TEXT,
    tags             TEXT NOT NULL,        -- JSON
    mode             TEXT NOT NULL,        -- Incremental, Complete
    state            TEXT NOT NULL,        -- Running, Succeeded, Failed, Canceled
    template         TEXT NOT NULL,        -- JSON
    -- What is shown of it, as JSON: parameters without secrets, dependencies, outputs, error …
    shown            TEXT NOT NULL,
    started_at       BIGINT NOT NULL,
    changed_at       BIGINT NOT NULL,
    -- Whoever runs it says again and again that it goes on; when this is over, nobody does.
    lease_until      BIGINT NOT NULL
);
CREATE INDEX deployments_by_scope ON deployments (scope_key, deployment_key);
CREATE INDEX deployments_running ON deployments (lease_until) WHERE state = 'Running';

-- What a deployment did, one row for each resource.
CREATE TABLE deployment_operations (
    deployment_row BIGINT NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    sequence       BIGINT NOT NULL,
    operation_id   TEXT NOT NULL,
    kind           TEXT NOT NULL,          -- Create, Delete, EvaluateDeploymentOutput
    state          TEXT NOT NULL,
    status_code    TEXT NOT NULL,
    target         TEXT,                   -- the id of the resource
    symbolic_name  TEXT,
    error          TEXT,                   -- JSON
    started_at     BIGINT NOT NULL,
    ended_at       BIGINT NOT NULL,
    PRIMARY KEY (deployment_row, sequence)
) WITHOUT ROWID;
