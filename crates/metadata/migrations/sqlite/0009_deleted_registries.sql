-- A registry that is deleted is out of sight at once: it gives its name up and gets a time here. What it held is removed
-- bit by bit, then the row.
ALTER TABLE registries ADD COLUMN deleted_at BIGINT;
CREATE INDEX registries_deleted ON registries (id) WHERE deleted_at IS NOT NULL;
