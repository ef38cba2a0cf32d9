-- Scope maps, tokens and their passwords, as sign-in and authorization read them. What a management client sees of them
-- (description, spelling of the name, systemData) is in the resource's own row. A registry that is deleted takes its rows
-- along; ids of registries and tokens are never given twice.

CREATE TABLE scope_maps (
    registry_id BIGINT NOT NULL,
    name        TEXT NOT NULL, -- in lower case
    actions     TEXT NOT NULL, -- JSON: repositories/team/app/content/read, …
    PRIMARY KEY (registry_id, name)
) WITHOUT ROWID;

CREATE TABLE tokens (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    registry_id    BIGINT NOT NULL,
    key            TEXT NOT NULL, -- the name in lower case
    name           TEXT NOT NULL,
    scope_map      TEXT NOT NULL, -- name in lower case, of scope_maps or of a system scope map, which has no row
    is_enabled     BOOLEAN NOT NULL,
    -- Goes up whenever a password is made and when the token is disabled; see token_passwords.generation.
    generation     BIGINT NOT NULL DEFAULT 0,
    UNIQUE (registry_id, key)
);
CREATE INDEX tokens_by_scope_map ON tokens (registry_id, scope_map);

-- Of a password there is only a MAC under the sealing key.
CREATE TABLE token_passwords (
    token_id   BIGINT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    slot       SMALLINT NOT NULL CHECK (slot IN (1, 2)),
    mac        BLOB NOT NULL,
    -- What was issued against the password carries this number and counts while the row has it.
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (token_id, slot)
) WITHOUT ROWID;
