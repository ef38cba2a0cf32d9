-- The whole truth about registries. The same tables stand in ../postgres; only types and collations differ.
-- Times are microseconds since 1970 (UTC). Digests are text, algorithm:hex.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE signing_keys (
    kid            TEXT PRIMARY KEY NOT NULL,
    sealed_key     BLOB NOT NULL,
    created_at     BIGINT NOT NULL,
    signs_until    BIGINT NOT NULL,
    verifies_until BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE registries (
    id                     INTEGER PRIMARY KEY AUTOINCREMENT,
    uid                    TEXT NOT NULL UNIQUE,
    name                   TEXT NOT NULL UNIQUE,
    sku                    TEXT NOT NULL,
    admin_user_enabled     BOOLEAN NOT NULL,
    anonymous_pull_enabled BOOLEAN NOT NULL,
    admin_password_1       BLOB NOT NULL,
    admin_password_2       BLOB NOT NULL,
    credentials_generation BIGINT NOT NULL DEFAULT 1,
    last_change            BIGINT NOT NULL DEFAULT 0,
    created_at             BIGINT NOT NULL,
    updated_at             BIGINT NOT NULL
);

CREATE TABLE repositories (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id    BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    manifest_count BIGINT NOT NULL DEFAULT 0,
    tag_count      BIGINT NOT NULL DEFAULT 0,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (registry_id, name)
);
-- A repository shows while it holds a manifest; the catalog reads this index alone.
CREATE INDEX repositories_shown ON repositories (registry_id, name) WHERE manifest_count > 0;

-- Bytes are in the object store under storage_key or, when few, in the row itself.
CREATE TABLE blobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    digest      TEXT NOT NULL UNIQUE,
    size_bytes  BIGINT NOT NULL,
    storage_key TEXT UNIQUE,
    created_at  BIGINT NOT NULL,
    bytes       BLOB,
    CHECK ((storage_key IS NULL) <> (bytes IS NULL))
);

-- A blob is readable in a repository while this link stands. The collector may cut it once the lease
-- has run out and no manifest of the repository refers to the blob.
CREATE TABLE repository_blobs (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    blob_id       BIGINT NOT NULL REFERENCES blobs (id),
    lease_until   BIGINT NOT NULL,
    PRIMARY KEY (repository_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX repository_blobs_by_blob ON repository_blobs (blob_id);

CREATE TABLE manifests (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    repository_id     BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    digest            TEXT NOT NULL,
    media_type        TEXT NOT NULL,
    artifact_type     TEXT,
    config_media_type TEXT,
    subject_digest    TEXT,
    annotations       TEXT,
    image_size_bytes  BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    bytes             BLOB NOT NULL,
    UNIQUE (repository_id, digest)
);
CREATE INDEX manifests_by_subject ON manifests (repository_id, subject_digest, digest) WHERE subject_digest IS NOT NULL;

CREATE TABLE manifest_blobs (
    repository_id BIGINT NOT NULL,
    blob_id       BIGINT NOT NULL,
    manifest_id   BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    PRIMARY KEY (repository_id, blob_id, manifest_id),
    -- What a manifest refers to exists: the link cannot be cut while this row stands.
    FOREIGN KEY (repository_id, blob_id) REFERENCES repository_blobs (repository_id, blob_id)
) WITHOUT ROWID;
CREATE INDEX manifest_blobs_by_manifest ON manifest_blobs (manifest_id);

CREATE TABLE manifest_children (
    parent_id BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    child_id  BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    PRIMARY KEY (parent_id, child_id)
) WITHOUT ROWID;
CREATE INDEX manifest_children_by_child ON manifest_children (child_id);

CREATE TABLE tags (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    manifest_id   BIGINT NOT NULL REFERENCES manifests (id),
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name)
) WITHOUT ROWID;
CREATE INDEX tags_by_manifest ON tags (manifest_id);

-- Upload sessions of which bytes were acknowledged. A session without such bytes has no row.
CREATE TABLE uploads (
    id            TEXT PRIMARY KEY NOT NULL,
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    storage_key   TEXT NOT NULL,
    algorithm     TEXT NOT NULL,
    offset_bytes  BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- Objects that no row refers to any more. They are removed from the store after a grace, then from here.
CREATE TABLE doomed_objects (
    storage_key TEXT PRIMARY KEY NOT NULL,
    size_bytes  BIGINT NOT NULL,
    doomed_at   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX doomed_objects_by_time ON doomed_objects (doomed_at);

-- The change log: one row per change, dense and ordered per registry, written with the change.
CREATE TABLE changes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    sequence    BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    repository  TEXT,
    tag         TEXT,
    digest      TEXT,
    UNIQUE (registry_id, sequence)
);
