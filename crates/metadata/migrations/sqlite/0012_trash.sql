-- The trash: what was deleted softly, until it is restored or its time is over.
--
-- A manifest in the trash is a row of manifests like any other, in a row of repositories that nobody sees: one with a
-- deleted_at and a trash_id. What it refers to is linked to that row, so that its blobs stay while the live repository
-- lets go of them.

-- One row per name of a repository that something was deleted from.
CREATE TABLE trash (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    repository  TEXT NOT NULL,
    -- For how many days things are kept when the policy is off: what it said when the last of them came in.
    keep_days   BIGINT NOT NULL,
    UNIQUE (registry_id, repository)
);

ALTER TABLE repositories ADD COLUMN trash_id BIGINT REFERENCES trash (id) ON DELETE SET NULL;
ALTER TABLE repositories ADD COLUMN deleted_by TEXT;
-- A repository that was deleted whole becomes such a hidden row at once. Its manifests get their rows below afterwards, bit
-- by bit in the order of digests: this is how far that has come. NULL: there is nothing to be done.
ALTER TABLE repositories ADD COLUMN settled_to TEXT;
CREATE INDEX repositories_in_trash ON repositories (trash_id) WHERE trash_id IS NOT NULL;
CREATE INDEX repositories_unsettled ON repositories (trash_id) WHERE settled_to IS NOT NULL;
DROP INDEX repositories_deleted;
CREATE INDEX repositories_deleted ON repositories (id) WHERE deleted_at IS NOT NULL AND trash_id IS NULL;

CREATE TABLE deleted_manifests (
    trash_id    BIGINT NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
    digest      TEXT NOT NULL,
    manifest_id BIGINT NOT NULL UNIQUE REFERENCES manifests (id) ON DELETE CASCADE,
    deleted_at  BIGINT NOT NULL,
    deleted_by  TEXT NOT NULL,
    PRIMARY KEY (trash_id, digest)
) WITHOUT ROWID;
CREATE INDEX deleted_manifests_by_time ON deleted_manifests (trash_id, deleted_at);

-- Tags with the manifests that they named, which may be in the trash as well or still live. A tag may be here several times.
CREATE TABLE deleted_tags (
    trash_id       BIGINT NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
    name           TEXT NOT NULL,
    deleted_at     BIGINT NOT NULL,
    manifest_id    BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    deleted_by     TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    delete_enabled BOOLEAN NOT NULL,
    write_enabled  BOOLEAN NOT NULL,
    read_enabled   BOOLEAN NOT NULL,
    list_enabled   BOOLEAN NOT NULL,
    PRIMARY KEY (trash_id, name, deleted_at, manifest_id)
) WITHOUT ROWID;
CREATE INDEX deleted_tags_by_manifest ON deleted_tags (manifest_id);
CREATE INDEX deleted_tags_by_time ON deleted_tags (trash_id, deleted_at);
