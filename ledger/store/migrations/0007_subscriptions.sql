-- Named subscriptions: how far each subscriber says that it has come, so that whoever runs the ledger sees who is behind.

CREATE TABLE ledger.subscription (
    name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
    -- For good: a position of one projection says nothing of another's rows.
    projection text COLLATE "C" NOT NULL,
    position   bigint NOT NULL CHECK (position >= 0),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, UPDATE (position, seen_at) ON ledger.subscription TO consent_service;
-- Whoever looks after the projections says which names are needed no longer.
GRANT SELECT, DELETE ON ledger.subscription TO consent_projections;
