-- What a sign-in is bound to.

-- The resource that somebody approved for a registered application, NULL for programs that everybody has and which may
-- ask for any; and whether the client proved itself when it got the token, and so has to whenever it uses it.
ALTER TABLE refresh_tokens ADD COLUMN resource TEXT;
ALTER TABLE refresh_tokens ADD COLUMN is_proven BOOLEAN NOT NULL DEFAULT FALSE;

-- What counts as one address: of IPv6 the network.
ALTER TABLE device_codes ADD COLUMN neighbourhood TEXT NOT NULL DEFAULT '';

-- Whether names that an issuer gives may lead to users that were not made by it.
ALTER TABLE federation_rules ADD COLUMN trusts_names BOOLEAN NOT NULL DEFAULT FALSE;

-- Which user an account of an issuer is, from its first sign-in on: names change hands, subjects do not.
CREATE TABLE federated_people (
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    linked_at    BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX federated_people_by_principal ON federated_people (principal_id);
