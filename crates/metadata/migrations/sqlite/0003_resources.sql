-- Resources of Azure Resource Manager. The same tables stand in ../postgres; only types and collations differ.
-- Columns named …_key hold ids and names in lower case: what they are looked up, compared and listed by.

CREATE TABLE tenants (
    id             TEXT PRIMARY KEY NOT NULL,
    display_name   TEXT NOT NULL,
    default_domain TEXT NOT NULL,
    created_at     BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE subscriptions (
    id           TEXT PRIMARY KEY NOT NULL,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id),
    display_name TEXT NOT NULL,
    created_at   BIGINT NOT NULL
) WITHOUT ROWID;

-- Every resource and resource group, whatever its kind. A kind may keep tables of its own beside.
CREATE TABLE resources (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    resource_key     TEXT NOT NULL UNIQUE,
    resource_id      TEXT NOT NULL,
    -- The resource, scope, group or subscription that it is directly in.
    parent_key       TEXT NOT NULL,
    subscription_key TEXT NOT NULL,
    -- The id of its resource group; its own, if it is one.
    group_key        TEXT NOT NULL,
    type_key         TEXT NOT NULL,
    name_key         TEXT NOT NULL,
    -- Tracked resources have a location and stand in the generic lists.
    is_tracked       BOOLEAN NOT NULL,
    location         TEXT,
    tags             TEXT NOT NULL,
    sku              TEXT,
    identity         TEXT,
    properties       TEXT NOT NULL,
    etag             TEXT NOT NULL,
    is_deleting      BOOLEAN NOT NULL DEFAULT FALSE,
    created_at       BIGINT NOT NULL,
    created_by       TEXT NOT NULL,
    created_by_type  TEXT NOT NULL,
    changed_at       BIGINT NOT NULL,
    changed_by       TEXT NOT NULL,
    changed_by_type  TEXT NOT NULL
);
-- Lists of one kind: in a parent, in a group, in a subscription.
CREATE INDEX resources_in_parent ON resources (parent_key, type_key, resource_key);
CREATE INDEX resources_in_group ON resources (group_key, type_key, resource_key);
CREATE INDEX resources_in_subscription ON resources (subscription_key, type_key, resource_key);
-- The generic lists.
CREATE INDEX resources_tracked ON resources (subscription_key, resource_key) WHERE is_tracked;
CREATE INDEX resources_tracked_in_group ON resources (group_key, resource_key) WHERE is_tracked;
CREATE INDEX resources_named ON resources (name_key, subscription_key, resource_key);
-- What a start has to go on with.
CREATE INDEX resources_deleting ON resources (resource_key) WHERE is_deleting;

-- Tags by name, for lists that are filtered by them; with the resource's keys, so that such lists come in their order.
CREATE TABLE resource_tags (
    resource_row     BIGINT NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    name_key         TEXT NOT NULL,
    value            TEXT NOT NULL,
    subscription_key TEXT NOT NULL,
    resource_key     TEXT NOT NULL,
    PRIMARY KEY (resource_row, name_key)
) WITHOUT ROWID;
CREATE INDEX resource_tags_by_name ON resource_tags (subscription_key, name_key, resource_key);
CREATE INDEX resource_tags_by_value ON resource_tags (subscription_key, name_key, value, resource_key);

-- Long-running operations, for those who poll them.
CREATE TABLE operations (
    id           TEXT PRIMARY KEY NOT NULL,
    -- What it is done to.
    resource_id  TEXT NOT NULL,
    status       TEXT NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    error        TEXT,
    result       TEXT
) WITHOUT ROWID;
CREATE INDEX operations_by_end ON operations (ended_at);
CREATE INDEX operations_open ON operations (resource_id) WHERE ended_at IS NULL;
