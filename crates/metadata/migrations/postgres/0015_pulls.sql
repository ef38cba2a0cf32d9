-- Pulls and bytes: what is counted about artifacts. Both lag behind by seconds, neither is in the change log.

-- Pulls. A row appears with the first use and goes with what was pulled. used_at is the newest of all requests for the
-- manifest, HEAD too; pulled_at is that of the pulls, NULL while there was none.
CREATE TABLE manifest_pulls (
    manifest_id BIGINT PRIMARY KEY NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    pull_count  BIGINT NOT NULL,
    pulled_at   BIGINT,
    used_at     BIGINT NOT NULL
);

CREATE TABLE tag_pulls (
    repository_id BIGINT NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    pull_count    BIGINT NOT NULL,
    pulled_at     BIGINT,
    used_at       BIGINT NOT NULL,
    PRIMARY KEY (repository_id, name),
    FOREIGN KEY (repository_id, name) REFERENCES tags (repository_id, name) ON DELETE CASCADE
);

-- Those of all manifests that a repository had since created_at, also of manifests that are gone. A repository that began
-- anew has another created_at, and the row counts for nothing until the next pull.
CREATE TABLE repository_pulls (
    repository_id BIGINT PRIMARY KEY NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    registry_id   BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    pull_count    BIGINT NOT NULL,
    pulled_at     BIGINT NOT NULL
);
CREATE INDEX repository_pulls_by_time ON repository_pulls (registry_id, pulled_at, repository_id);

-- Bytes. Links that came and went and are not counted below yet, written with the link by the triggers at the end.
CREATE TABLE link_changes (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registry_id   BIGINT NOT NULL,
    repository_id BIGINT NOT NULL,
    blob_id       BIGINT NOT NULL,
    size_bytes    BIGINT NOT NULL,
    -- 1: linked, -1: cut.
    change        BIGINT NOT NULL
);

-- In how many repositories of a registry a blob is. holder_sum is the sum of their row ids, and so, where there is only
-- one, the id of that one.
CREATE TABLE registry_blobs (
    registry_id BIGINT NOT NULL,
    blob_id     BIGINT NOT NULL,
    size_bytes  BIGINT NOT NULL,
    holders     BIGINT NOT NULL,
    holder_sum  BIGINT NOT NULL,
    PRIMARY KEY (registry_id, blob_id)
);

-- logical_bytes: of the blobs that the repository holds; unique_bytes: of those that no other repository of the registry holds.
CREATE TABLE repository_sizes (
    repository_id BIGINT PRIMARY KEY NOT NULL,
    registry_id   BIGINT NOT NULL,
    logical_bytes BIGINT NOT NULL,
    unique_bytes  BIGINT NOT NULL
);
CREATE INDEX repository_sizes_by_size ON repository_sizes (registry_id, logical_bytes, repository_id);

-- Of the blobs that a registry holds, each once.
CREATE TABLE registry_sizes (
    registry_id BIGINT PRIMARY KEY NOT NULL,
    total_bytes BIGINT NOT NULL
);

-- What was there before.
INSERT INTO registry_blobs (registry_id, blob_id, size_bytes, holders, holder_sum)
    SELECT r.registry_id, l.blob_id, MIN(b.size_bytes), COUNT(*), SUM(r.id)
    FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id JOIN blobs b ON b.id = l.blob_id
    GROUP BY r.registry_id, l.blob_id;
INSERT INTO registry_sizes (registry_id, total_bytes)
    SELECT registry_id, SUM(size_bytes) FROM registry_blobs GROUP BY registry_id;
INSERT INTO repository_sizes (repository_id, registry_id, logical_bytes, unique_bytes)
    SELECT r.id, r.registry_id, SUM(b.size_bytes), SUM(CASE WHEN g.holders = 1 THEN b.size_bytes ELSE 0 END)
    FROM repository_blobs l JOIN repositories r ON r.id = l.repository_id JOIN blobs b ON b.id = l.blob_id
    JOIN registry_blobs g ON g.registry_id = r.registry_id AND g.blob_id = l.blob_id
    GROUP BY r.id, r.registry_id;

-- Links come and go in several places, one of them a cascade; none of these has to remember to say so.
CREATE FUNCTION note_linked() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO link_changes (registry_id, repository_id, blob_id, size_bytes, change)
        SELECT r.registry_id, r.id, b.id, b.size_bytes, 1 FROM repositories r, blobs b
        WHERE r.id = NEW.repository_id AND b.id = NEW.blob_id;
    RETURN NULL;
END $$;
CREATE FUNCTION note_cut() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO link_changes (registry_id, repository_id, blob_id, size_bytes, change)
        SELECT r.registry_id, r.id, b.id, b.size_bytes, -1 FROM repositories r, blobs b
        WHERE r.id = OLD.repository_id AND b.id = OLD.blob_id;
    RETURN NULL;
END $$;
CREATE TRIGGER repository_blobs_linked AFTER INSERT ON repository_blobs FOR EACH ROW EXECUTE FUNCTION note_linked();
CREATE TRIGGER repository_blobs_cut AFTER DELETE ON repository_blobs FOR EACH ROW EXECUTE FUNCTION note_cut();
