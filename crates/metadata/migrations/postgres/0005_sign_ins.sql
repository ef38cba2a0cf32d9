-- Signing in: codes and tokens that wait to be used, and who is trusted to say who somebody is. Whatever a client holds is
-- kept as a MAC only. `generation` is that of the principal's credentials when they signed in; `rule_id` the federation rule
-- by which they did.

-- A program that cannot show a browser waits for a person to type the user code. state: pending, approved, declined.
CREATE TABLE device_codes (
    code_mac         BYTEA PRIMARY KEY NOT NULL,
    user_code        TEXT NOT NULL UNIQUE,
    client_id        TEXT NOT NULL,
    scope            TEXT NOT NULL,
    address          TEXT NOT NULL,
    state            TEXT NOT NULL,
    principal_id     TEXT,
    generation       BIGINT,
    rule_id          TEXT,
    authenticated_at BIGINT,
    interval_seconds BIGINT NOT NULL,
    polled_at        BIGINT,
    polled_before    BIGINT,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX device_codes_by_expiry ON device_codes (expires_at);

-- `family` names the refresh tokens that come of a code; they end when the code is used a second time.
CREATE TABLE authorization_codes (
    code_mac         BYTEA PRIMARY KEY NOT NULL,
    client_id        TEXT NOT NULL,
    redirect_uri     TEXT NOT NULL,
    code_challenge   TEXT,
    scope            TEXT NOT NULL,
    nonce            TEXT,
    principal_id     TEXT NOT NULL,
    generation       BIGINT NOT NULL,
    rule_id          TEXT,
    authenticated_at BIGINT NOT NULL,
    family           TEXT NOT NULL,
    is_redeemed      BOOLEAN NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX authorization_codes_by_expiry ON authorization_codes (expires_at);

CREATE TABLE refresh_tokens (
    token_mac        BYTEA PRIMARY KEY NOT NULL,
    family           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    principal_id     TEXT NOT NULL,
    generation       BIGINT NOT NULL,
    rule_id          TEXT,
    scope            TEXT NOT NULL,
    authenticated_at BIGINT NOT NULL,
    issued_at        BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL
);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_by_principal ON refresh_tokens (principal_id, issued_at);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- Assertions that applications have signed in with, each with what it was used for.
CREATE TABLE used_assertions (
    use_mac    BYTEA PRIMARY KEY NOT NULL,
    used_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_assertions_by_expiry ON used_assertions (expires_at);

-- Issuers outside, with how they are reached (JSON), and the secret of our client there, sealed.
CREATE TABLE federation_issuers (
    id                   TEXT PRIMARY KEY NOT NULL,
    name                 TEXT COLLATE "C" NOT NULL UNIQUE,
    issuer               TEXT NOT NULL UNIQUE,
    settings             TEXT NOT NULL,
    sealed_client_secret BYTEA,
    created_at           BIGINT NOT NULL
);

-- Whom an issuer's tokens may stand for: tokens for `audience` whose claims meet all `conditions` (JSON) stand for the
-- principal, or for the user whose name is in the claim `user_claim`.
CREATE TABLE federation_rules (
    id            TEXT PRIMARY KEY NOT NULL,
    issuer_id     TEXT NOT NULL REFERENCES federation_issuers (id) ON DELETE CASCADE,
    audience      TEXT NOT NULL,
    conditions    TEXT NOT NULL,
    principal_id  TEXT,
    user_claim    TEXT,
    creates_users BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    CHECK ((principal_id IS NULL) <> (user_claim IS NULL))
);
CREATE INDEX federation_rules_by_issuer ON federation_rules (issuer_id);

-- Who has signed in by a rule, so that its end is the end of what they hold.
CREATE TABLE federated_sign_ins (
    rule_id      TEXT NOT NULL,
    principal_id TEXT NOT NULL,
    PRIMARY KEY (rule_id, principal_id)
);

-- Where programs get tokens of a principal without a secret of its own: by a header's value, or by the range of addresses
-- that they call from.
CREATE TABLE identity_endpoints (
    id           TEXT PRIMARY KEY NOT NULL,
    principal_id TEXT NOT NULL,
    header_mac   BYTEA UNIQUE,
    addresses    TEXT,
    description  TEXT,
    created_at   BIGINT NOT NULL,
    CHECK ((header_mac IS NULL) <> (addresses IS NULL))
);
CREATE INDEX identity_endpoints_by_principal ON identity_endpoints (principal_id);
