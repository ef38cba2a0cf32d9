-- Charts: what the index of a repository of charts says of a manifest that is one. A chart is listed while the tag of its
-- version names it. home is the repository's name without the chart's, file the name
-- of the chart's package without its ending.
CREATE TABLE charts (
    manifest_id       BIGINT PRIMARY KEY NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    registry_id       BIGINT NOT NULL,
    home              TEXT COLLATE "C" NOT NULL,
    name              TEXT COLLATE "C" NOT NULL,
    file              TEXT COLLATE "C" NOT NULL,
    tag               TEXT COLLATE "C" NOT NULL,
    archive_digest    TEXT COLLATE "C" NOT NULL,
    provenance_digest TEXT COLLATE "C",
    metadata          TEXT NOT NULL
);
CREATE INDEX charts_by_home ON charts (registry_id, home, name);
CREATE INDEX charts_by_file ON charts (registry_id, home, file);

-- Values that clients keep with repositories, tags and manifests, each under a key. Those of a repository count while it
-- was not begun anew since.
CREATE TABLE repository_values (
    repository_id BIGINT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    key           TEXT COLLATE "C" NOT NULL,
    value         TEXT NOT NULL,
    set_at        BIGINT NOT NULL,
    PRIMARY KEY (repository_id, key)
);
CREATE TABLE tag_values (
    repository_id BIGINT NOT NULL,
    tag           TEXT COLLATE "C" NOT NULL,
    key           TEXT COLLATE "C" NOT NULL,
    value         TEXT NOT NULL,
    PRIMARY KEY (repository_id, tag, key),
    FOREIGN KEY (repository_id, tag) REFERENCES tags (repository_id, name) ON DELETE CASCADE
);
CREATE TABLE manifest_values (
    manifest_id BIGINT NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    key         TEXT COLLATE "C" NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (manifest_id, key)
);
