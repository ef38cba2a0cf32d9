-- The job that does what is polled, where one does: how far it is, is how far the operation is.
ALTER TABLE operations ADD COLUMN job_id TEXT;

-- What an import signs in with at its source: sealed, and kept until the import has ended.
CREATE TABLE import_credentials (
    operation_id TEXT PRIMARY KEY NOT NULL,
    registry_id  BIGINT NOT NULL REFERENCES registries (id) ON DELETE CASCADE,
    sealed       BYTEA NOT NULL
);
CREATE INDEX import_credentials_by_registry ON import_credentials (registry_id);
