-- Projections: each has a schema of its own, made and swapped by the runner, and its position here.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_projections') THEN
        CREATE ROLE consent_projections NOLOGIN;
    END IF;
    GRANT consent_projections TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL; -- another ledger's init was a moment faster, or whoever made the roles grants them
END
$$;
GRANT USAGE ON SCHEMA ledger TO consent_projections;
GRANT SELECT ON ledger.migration, ledger.ledger, ledger.log_entry TO consent_projections;

DO $$
BEGIN
    EXECUTE format('GRANT CREATE ON DATABASE %I TO consent_projections', current_database());
END
$$;

CREATE TABLE ledger.projection (
    -- The schema that holds the tables: a projection's own, or the one it is being rebuilt in.
    tables    text COLLATE "C" PRIMARY KEY,
    position  bigint NOT NULL CHECK (position >= 0),
    -- Rows may have changed in a rebuild without a new position: whoever stands below this starts over.
    kept_from bigint NOT NULL DEFAULT 0 CHECK (kept_from >= 0)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.projection TO consent_projections;
GRANT SELECT ON ledger.projection TO consent_service;
