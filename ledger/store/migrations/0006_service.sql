-- What the service needs of its own: who may ask it for what.

-- Whoever answers requests must not be able to let others in: tokens are made and revoked in a role of their own.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_tokens') THEN
        CREATE ROLE consent_tokens NOLOGIN;
    END IF;
    GRANT consent_tokens TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL; -- another ledger's init was a moment faster, or whoever made the roles grants them
END
$$;
GRANT USAGE ON SCHEMA ledger TO consent_tokens;
GRANT SELECT ON ledger.migration, ledger.ledger TO consent_tokens;

CREATE TABLE ledger.token (
    -- SHA-256 of the token, which has 256 random bits: no salt or slow hash makes it harder to guess.
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    name       text COLLATE "C" NOT NULL CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    scopes     text[] COLLATE "C" NOT NULL CHECK (cardinality(scopes) >= 1),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
    revoked_at timestamptz
);
-- A name stands for one token at a time, and may be given again once that is revoked.
CREATE UNIQUE INDEX token_name ON ledger.token (name) WHERE revoked_at IS NULL;

GRANT SELECT, INSERT, UPDATE (revoked_at) ON ledger.token TO consent_tokens;
GRANT SELECT ON ledger.token TO consent_service;
