-- Who has which role where. Scopes stand as written and, to be compared and looked up, in lower case.
CREATE TABLE role_assignments (
    id                TEXT PRIMARY KEY NOT NULL,
    scope             TEXT NOT NULL,
    scope_key         TEXT NOT NULL,
    principal_id      TEXT NOT NULL,
    principal_type    TEXT NOT NULL,
    role_id           TEXT NOT NULL,
    condition         TEXT,
    condition_version TEXT,
    description       TEXT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    created_by        TEXT NOT NULL,
    updated_by        TEXT NOT NULL,
    -- In this order, so that the rights of a principal at a scope are one look-up.
    UNIQUE (principal_id, scope_key, role_id)
) WITHOUT ROWID;
CREATE INDEX role_assignments_by_scope ON role_assignments (scope_key, id);
CREATE INDEX role_assignments_by_role ON role_assignments (role_id);

-- Roles that users defined. Those that come with the product are part of the program.
CREATE TABLE role_definitions (
    id                TEXT PRIMARY KEY NOT NULL,
    name              TEXT NOT NULL,
    name_key          TEXT NOT NULL UNIQUE,
    description       TEXT NOT NULL,
    permissions       TEXT NOT NULL,
    assignable_scopes TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    created_by        TEXT NOT NULL,
    updated_by        TEXT NOT NULL
) WITHOUT ROWID;
