-- Goes up in every transaction that changes who may do what: principals and their credentials, groups, roles, role
-- assignments, scope maps, tokens. What a process worked out under an older version is worked out anew.
CREATE TABLE access_version (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO access_version (id, version) VALUES (1, 1);

-- The registry as an ARM resource: its id, and those of its properties that the data plane acts on, as JSON.
ALTER TABLE registries ADD COLUMN resource_id TEXT NOT NULL DEFAULT '/';
ALTER TABLE registries ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
