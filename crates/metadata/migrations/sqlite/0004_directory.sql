-- The directory: who can be given rights, and what they sign in with.

-- Users, groups, service principals and managed identities. `family` is the kind as role assignments and lists know it,
-- which tells no managed identities apart. Names are looked up and listed by their keys, in lower case. `generation` goes
-- up when the principal is switched off or loses a credential; tokens of older generations are void.
CREATE TABLE principals (
    id            TEXT PRIMARY KEY NOT NULL,
    kind          TEXT NOT NULL,
    family        TEXT NOT NULL,
    tenant_id     TEXT NOT NULL,
    display_name  TEXT NOT NULL,
    name_key      TEXT NOT NULL,
    user_name     TEXT,
    user_name_key TEXT UNIQUE,
    app_id        TEXT UNIQUE,
    resource_id   TEXT,
    resource_key  TEXT,
    is_enabled    BOOLEAN NOT NULL,
    generation    BIGINT NOT NULL,
    properties    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX principals_by_resource ON principals (resource_key) WHERE resource_key IS NOT NULL;
CREATE INDEX principals_by_name ON principals (tenant_id, family, name_key, id);

-- Applications: what service principals are made from. Both may hold secrets and certificates.
CREATE TABLE applications (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL,
    app_id       TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    properties   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX applications_by_name ON applications (tenant_id, name_key, id);

-- The URIs that stand for applications beside their ids, each for one.
CREATE TABLE application_uris (
    uri_key        TEXT PRIMARY KEY NOT NULL,
    uri            TEXT NOT NULL,
    application_id TEXT NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    position       BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX application_uris_by_application ON application_uris (application_id);

-- What a user (Password), an application or a service principal (Secret, Certificate) signs in with. A password is kept
-- as its argon2id hash, a secret as a MAC under a key of the installation, a certificate as it is (DER).
CREATE TABLE credentials (
    owner_id     TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    kind         TEXT NOT NULL,
    display_name TEXT,
    hint         TEXT,
    is_generated BOOLEAN NOT NULL,
    value        BLOB NOT NULL,
    starts_at    BIGINT NOT NULL,
    ends_at      BIGINT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (owner_id, key_id)
) WITHOUT ROWID;

CREATE TABLE group_members (
    group_id  TEXT NOT NULL,
    member_id TEXT NOT NULL,
    PRIMARY KEY (group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX group_members_by_member ON group_members (member_id, group_id);

-- Who manages an application, a service principal or a group beside the administrators.
CREATE TABLE directory_owners (
    object_id TEXT NOT NULL,
    owner_id  TEXT NOT NULL,
    PRIMARY KEY (object_id, owner_id)
) WITHOUT ROWID;
CREATE INDEX directory_owners_by_owner ON directory_owners (owner_id, object_id);
