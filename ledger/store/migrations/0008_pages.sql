-- Links that open a person's pages once, and the sessions behind them (docs/decisions/0024).

-- What a link opens, and for whom, is sealed under the link's own secret, of which only the SHA-256 is here: these rows
-- name nobody to anybody who reads the database or a backup of it. So an erasure has nothing to delete from them.
CREATE TABLE ledger.page_link (
    digest     bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    sealed     bytea NOT NULL CHECK (octet_length(sealed) <= 8192),
    expires_at timestamptz NOT NULL
);
CREATE INDEX page_link_expires ON ledger.page_link (expires_at);

CREATE TABLE ledger.page_session (
    digest    bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    sealed    bytea NOT NULL CHECK (octet_length(sealed) <= 8192),
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX page_session_used ON ledger.page_session (used_at);

GRANT SELECT, INSERT, DELETE ON ledger.page_link, ledger.page_session TO consent_service;
GRANT UPDATE (used_at) ON ledger.page_session TO consent_service;
