-- The log: one row an entry, append-only for everybody, in positions without gaps.

-- Roles belong to the whole server, and several ledgers may share one: whoever comes first makes them.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_service') THEN
        CREATE ROLE consent_service NOLOGIN;
    END IF;
    GRANT consent_service TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL; -- another ledger's init was a moment faster, or whoever made the roles grants them
END
$$;
GRANT USAGE ON SCHEMA ledger TO consent_service;

-- What this ledger is. A token names the id; keys and checkpoints name the origin.
CREATE TABLE ledger.ledger (
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    id         bytea NOT NULL CHECK (octet_length(id) = 16),
    origin     text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE ledger.log_entry (
    position    bigint PRIMARY KEY CHECK (position >= 1),
    stream      text COLLATE "C" NOT NULL,
    version     bigint NOT NULL CHECK (version >= 1),
    event       text COLLATE "C" NOT NULL,
    recorded_at timestamptz NOT NULL,
    imported    boolean NOT NULL,
    -- 65,535: the length of an entry in an entry bundle has 16 bits (FORMATS.md, section 1).
    entry       bytea NOT NULL CHECK (octet_length(entry) BETWEEN 1 AND 65535),
    -- RFC 6962, section 2.1; by the database, so that no writer can store another.
    leaf        bytea NOT NULL GENERATED ALWAYS AS (sha256('\x00'::bytea || entry)) STORED,
    UNIQUE (stream, version)
);
-- Lateness is measured from the highest time of all that was not imported (FORMATS.md, section 1).
CREATE INDEX log_entry_recorded_live ON ledger.log_entry (recorded_at) WHERE NOT imported;

-- A key answers "did I ask this already?" for whoever knows the subject id, and nothing to anybody else.
-- Without a position the row is a fence: the key stands for one subject, and `request` says, to who knows, which.
CREATE TABLE ledger.idempotency_key (
    key      bytea PRIMARY KEY CHECK (octet_length(key) = 32),
    request  bytea NOT NULL CHECK (octet_length(request) = 32),
    position bigint REFERENCES ledger.log_entry (position)
);

CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege', HINT = 'Append an entry that says what is new.';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.log_entry
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON ledger.log_entry
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.idempotency_key
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON ledger.idempotency_key
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.ledger
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON ledger.ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- ALWAYS: a session that plays a replica skips ordinary triggers, and must not get around these.
ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.log_entry ENABLE ALWAYS TRIGGER never_truncated;
ALTER TABLE ledger.idempotency_key ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.idempotency_key ENABLE ALWAYS TRIGGER never_truncated;
ALTER TABLE ledger.ledger ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.ledger ENABLE ALWAYS TRIGGER never_truncated;

-- The ledger's clock: the database's, but never before what it has shown already, so that it cannot step back.
CREATE FUNCTION ledger.clock() RETURNS timestamptz LANGUAGE sql VOLATILE
SET search_path = ledger, pg_temp
AS $$
    SELECT greatest(clock_timestamp(), (SELECT max(recorded_at) FROM log_entry WHERE NOT imported))
$$;

-- Appends: each a number, with entries of one stream, its keys, and the evidence behind it (a table of 0002).
-- At most one append a stream and key a call.
-- Everything but the number comes out of the entry itself, so that no row can say other than its bytes, and
-- all are checked, numbered and stored by one statement under one lock: positions have no gaps, in commit order.
-- A key points to the entry of its version.
--
-- The planner knows nothing of how long the arrays are. With its nested loops off, but for the two look-ups by index
-- that are written so that nothing else can be planned, the time grows with the length, and not with its square. And
-- one plan serves all: to plan each call anew took longer than to append one entry.
CREATE FUNCTION ledger.append(
    appends integer[], entries bytea[],
    key_appends integer[], key_versions bigint[], keys bytea[], requests bytea[], fences boolean[],
    evidence_appends integer[], digests bytea[], salts bytea[], bodies bytea[]
) RETURNS TABLE (append integer, outcome text, stored_at bigint, clock timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = ledger, pg_temp
SET enable_nestloop = off
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    base     bigint;
    highest  timestamptz;
    clock_is timestamptz;
BEGIN
    -- A statement of its own, and the first: heads, keys and versions are read in snapshots taken after it.
    PERFORM pg_advisory_xact_lock('ledger.log_entry'::regclass::oid::bigint);
    SELECT coalesce(max(l.position), 0) INTO base FROM log_entry l;
    SELECT max(l.recorded_at) INTO highest FROM log_entry l WHERE NOT l.imported;
    clock_is := greatest(clock_timestamp(), highest);
    RETURN QUERY
    WITH parsed AS MATERIALIZED (
        SELECT given.append, given.entry, given.place,
               -- jsonb refuses a zero character, which texts of terms may have; what is read here has none.
               replace(convert_from(given.entry, 'UTF8'), '\u0000', '\u0001')::jsonb AS json
        FROM unnest(appends, entries) WITH ORDINALITY AS given (append, entry, place)
    ), given AS MATERIALIZED (
        SELECT append, entry, place,
               json ->> 'stream' AS stream, (json ->> 'version')::bigint AS version, json ->> 'event' AS event,
               (json ->> 'recorded_at')::timestamptz AS recorded_at, json ? 'imported' AS imported,
               coalesce(json #>> '{imported,at}', json ->> 'recorded_at')::timestamptz AS clock_at
        FROM parsed
    ), wanted AS (
        SELECT append, stream, min(version) AS first_version, min(recorded_at) AS earliest,
               max(recorded_at) AS latest, min(clock_at) AS clock_from, max(clock_at) AS clock_to
        FROM given GROUP BY append, stream
    ), keyed AS (
        SELECT given.append, given.version, given.key, given.request, given.fence,
               known.request AS known, known.position
        FROM unnest(key_appends, key_versions, keys, requests, fences)
             AS given (append, version, key, request, fence)
        LEFT JOIN LATERAL (
            SELECT k.request, k.position FROM idempotency_key k WHERE k.key = given.key LIMIT 1
        ) known ON true
    ), answered AS (
        SELECT append, bool_or(known <> request) AS differs, max(position) AS position
        FROM keyed WHERE known IS NOT NULL GROUP BY append
    ), judged AS MATERIALIZED (
        SELECT wanted.append, wanted.stream,
               CASE
                   WHEN answered.differs THEN 'key-reused'
                   WHEN answered.position IS NOT NULL THEN 'repeated'
                   WHEN wanted.first_version <> coalesce(head.version, 0) + 1 THEN 'conflict'
                   -- 60 s: LATENESS of FORMATS.md, section 1.
                   -- The stream's head: it was the clock once, of an import too, and the clock may have stepped back.
                   WHEN wanted.clock_to > greatest(clock_is, head.recorded_at)
                        OR wanted.clock_from < highest - interval '60 seconds'
                        OR wanted.latest > wanted.clock_to OR wanted.earliest < head.recorded_at THEN 'out-of-time'
                   ELSE 'stored'
               END AS outcome,
               answered.position
        FROM wanted
        LEFT JOIN answered USING (append)
        LEFT JOIN LATERAL (
            SELECT l.version, l.recorded_at FROM log_entry l
            WHERE l.stream = wanted.stream ORDER BY l.version DESC LIMIT 1
        ) head ON true
    ), placed AS MATERIALIZED (
        SELECT base + row_number() OVER (ORDER BY given.place) AS position, given.*
        FROM given JOIN judged USING (append)
        WHERE judged.outcome = 'stored'
    ), inserted AS (
        INSERT INTO log_entry (position, stream, version, event, recorded_at, imported, entry)
        SELECT position, stream, version, event, recorded_at, imported, entry FROM placed
    ), remembered AS (
        INSERT INTO idempotency_key (key, request, position)
        SELECT keyed.key, keyed.request, CASE WHEN NOT keyed.fence THEN placed.position END
        FROM keyed JOIN placed USING (append, version)
        WHERE keyed.known IS NULL
    ), proven AS (
        INSERT INTO evidence (stream, digest, salt, body)
        SELECT judged.stream, given.digest, given.salt, given.body
        FROM unnest(evidence_appends, digests, salts, bodies) AS given (append, digest, salt, body)
        JOIN judged USING (append)
        WHERE judged.outcome = 'stored'
    )
    SELECT judged.append, judged.outcome, coalesce(first.position, judged.position), clock_is
    FROM judged
    LEFT JOIN (SELECT placed.append, min(placed.position) AS position FROM placed GROUP BY 1) first USING (append);
END
$$;

-- The service appends through the function alone: not even an INSERT of its own gets around the clock.
REVOKE ALL ON FUNCTION ledger.append FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.append, ledger.clock TO consent_service;
GRANT SELECT ON ledger.migration, ledger.ledger, ledger.log_entry, ledger.idempotency_key TO consent_service;
