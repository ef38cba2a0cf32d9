-- Locks of repositories, tags and manifests (on the wire: changeableAttributes), what lists of manifests show, and the
-- indices of lists in the order of time. What a lock hides from lists is in none of their indices.

ALTER TABLE repositories ADD COLUMN delete_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN write_enabled  BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN read_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE repositories ADD COLUMN list_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
DROP INDEX repositories_shown;
CREATE INDEX repositories_shown ON repositories (registry_id, name) WHERE manifest_count > 0 AND list_enabled;
-- A repository that is deleted gives its name up and gets a time here. What it held is removed bit by bit, then the row.
ALTER TABLE repositories ADD COLUMN deleted_at BIGINT;
CREATE INDEX repositories_deleted ON repositories (id) WHERE deleted_at IS NOT NULL;

ALTER TABLE tags ADD COLUMN delete_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN write_enabled  BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN read_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE tags ADD COLUMN list_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
-- The tags of a manifest are read from the index alone.
DROP INDEX tags_by_manifest;
CREATE INDEX tags_by_manifest ON tags (manifest_id, list_enabled, name);
CREATE INDEX tags_by_time ON tags (repository_id, updated_at, name) WHERE list_enabled;

ALTER TABLE manifests ADD COLUMN delete_enabled BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE manifests ADD COLUMN write_enabled  BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE manifests ADD COLUMN read_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE manifests ADD COLUMN list_enabled   BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE manifests ADD COLUMN architecture TEXT;
ALTER TABLE manifests ADD COLUMN os TEXT;
-- Whether the platform was looked for. It is not yet for manifests from before this column.
ALTER TABLE manifests ADD COLUMN is_described BOOLEAN NOT NULL DEFAULT FALSE;
-- The bytes move behind the new columns: whatever stands behind them in a row is read through them.
ALTER TABLE manifests ADD COLUMN content BLOB NOT NULL DEFAULT X'';
UPDATE manifests SET content = bytes;
ALTER TABLE manifests DROP COLUMN bytes;
ALTER TABLE manifests RENAME COLUMN content TO bytes;
CREATE INDEX manifests_by_time ON manifests (repository_id, updated_at, digest) WHERE list_enabled;
CREATE INDEX manifests_undescribed ON manifests (id) WHERE NOT is_described;
