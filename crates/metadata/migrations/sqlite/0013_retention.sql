-- What policies keep about manifests and tags.

-- Manifests that nothing holds any more, and when they are due. The date is set once, when the last tag or the last index
-- lets go; what is tagged again loses its row. `look_at` is when to look next: the same date, or later if a lock was in the way.
CREATE TABLE due_manifests (
    manifest_id BIGINT PRIMARY KEY NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    untagged_at BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    look_at     BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX due_manifests_by_time ON due_manifests (look_at, manifest_id);

-- What scanners say of manifests. A manifest without a row was never in quarantine and never passed.
CREATE TABLE quarantine_marks (
    manifest_id BIGINT PRIMARY KEY NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    state       TEXT NOT NULL,
    details     TEXT,
    tag         TEXT
) WITHOUT ROWID;

-- Patterns of tags that are set once in this repository, a JSON list. NULL: none.
ALTER TABLE repositories ADD COLUMN write_once_tags TEXT;
