-- Artifact cache: which repositories are filled from which registries elsewhere, with which credentials, what of a
-- repository came that way, and the secrets that credentials are made of.

-- What the data plane reads of cache rules; what a management client sees of them is in the resource's own row. A registry
-- that is deleted takes its rows along.
CREATE TABLE cache_rules (
    registry_id    BIGINT NOT NULL,
    name           TEXT NOT NULL, -- in lower case
    source         TEXT NOT NULL, -- docker.io/library/ubuntu, or docker.io/library/*
    target         TEXT NOT NULL, -- ubuntu, or hub/*, or *
    credential_set TEXT,          -- name in lower case
    PRIMARY KEY (registry_id, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX cache_rules_by_target ON cache_rules (registry_id, target);
CREATE INDEX cache_rules_by_credential_set ON cache_rules (registry_id, credential_set);

CREATE TABLE credential_sets (
    registry_id   BIGINT NOT NULL,
    name          TEXT NOT NULL, -- in lower case
    login_server  TEXT NOT NULL,
    username      TEXT NOT NULL, -- identifier of a secret
    password      TEXT NOT NULL, -- identifier of a secret
    -- What came of the last attempt to sign in. No code: it worked.
    checked_at    BIGINT,
    error_code    TEXT,
    error_message TEXT,
    PRIMARY KEY (registry_id, name)
) WITHOUT ROWID;

-- Repositories that the cache made.
CREATE TABLE cached_repositories (
    repository_id INTEGER PRIMARY KEY REFERENCES repositories (id) ON DELETE CASCADE
);

-- Manifests that the cache stored. What was pushed has no row.
CREATE TABLE cached_manifests (
    manifest_id INTEGER PRIMARY KEY REFERENCES manifests (id) ON DELETE CASCADE,
    cached_at   BIGINT NOT NULL
);

-- Tags that the cache set, with what it set them to. A tag that names another manifest was moved by somebody else.
CREATE TABLE cached_tags (
    repository_id BIGINT NOT NULL,
    name          TEXT NOT NULL,
    manifest_id   BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, name) REFERENCES tags (repository_id, name) ON DELETE CASCADE
) WITHOUT ROWID;

-- What the indexes list that the cache stored, so that a manifest that comes later finds those that list it.
CREATE TABLE cached_children (
    repository_id BIGINT NOT NULL,
    digest        TEXT NOT NULL,
    parent_id     BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    PRIMARY KEY (repository_id, digest, parent_id)
) WITHOUT ROWID;
CREATE INDEX cached_children_by_parent ON cached_children (parent_id);

-- Secrets that the operator stored: each under a name, for one vault or for all, in one version or for all.
CREATE TABLE secrets (
    name          TEXT NOT NULL, -- in lower case
    vault         TEXT NOT NULL, -- host of the vault; empty: all
    version       TEXT NOT NULL, -- empty: all
    sealed        BLOB NOT NULL,
    login_servers TEXT NOT NULL, -- JSON: the hosts that it may be sent to; empty: all
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (name, vault, version)
) WITHOUT ROWID;
