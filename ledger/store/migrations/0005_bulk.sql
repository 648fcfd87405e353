-- Bulk work: many appends that are stored together or not at all.

-- Who has none that must be told apart (a conflict, a repeated key) gets them stored faster than by ledger.append: nothing
-- is looked up first, for the unique indexes refuse what is there already. What is asked of an entry is the same, by the
-- same lock: everything in a row comes out of its bytes, versions follow each other, the clock rule holds.

-- What a row takes out of its entry.
CREATE TYPE ledger.said AS (stream text, version bigint, event text, recorded_at timestamptz, imported json);

-- `entries` stream by stream, each stream's in the order of its versions. A key stands for the entry of that number, from
-- 1. Answers with the position of the first, or with none where something is not as it has to be and nothing is stored:
-- ledger.append says what. A version or a key that is there already is a unique violation.
CREATE FUNCTION ledger.append_together(
    entries bytea[], keyed integer[], keys bytea[], requests bytea[], fences boolean[],
    OUT stored_at bigint, OUT clock timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = ledger, pg_temp
SET enable_nestloop = off
SET enable_seqscan = off -- a plan made while the log is short serves until it is long
SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    base     bigint;
    highest  timestamptz;
    clock_is timestamptz;
    is_fine  boolean;
BEGIN
    -- A statement of its own, and the first, as in ledger.append.
    PERFORM pg_advisory_xact_lock('ledger.log_entry'::regclass::oid::bigint);
    SELECT coalesce(max(l.position), 0) INTO base FROM log_entry l;
    SELECT max(l.recorded_at) INTO highest FROM log_entry l WHERE NOT l.imported;
    clock_is := greatest(clock_timestamp(), highest);
    WITH given AS MATERIALIZED (
        -- jsonb would be parsed for all of its fields; and a zero character, which texts of terms may have, is refused.
        SELECT base + given.place AS position, given.entry,
               json_populate_record(NULL::said, replace(convert_from(given.entry, 'UTF8'), '\u0000', '\u0001')::json) AS said
        FROM unnest(entries) WITH ORDINALITY AS given (entry, place)
    ), inserted AS (
        INSERT INTO log_entry (position, stream, version, event, recorded_at, imported, entry)
        SELECT position, (said).stream, (said).version, (said).event, (said).recorded_at, (said).imported IS NOT NULL, entry
        FROM given
    ), remembered AS (
        INSERT INTO idempotency_key (key, request, position)
        SELECT given.key, given.request, CASE WHEN NOT given.fence THEN base + given.entry END
        FROM unnest(keyed, keys, requests, fences) AS given (entry, key, request, fence)
    ), following AS (
        SELECT (said).stream AS stream, (said).version AS version, (said).recorded_at AS recorded_at,
               coalesce(((said).imported ->> 'at')::timestamptz, (said).recorded_at) AS clock_at,
               lag((said).stream) OVER place = (said).stream AS goes_on,
               lag((said).version) OVER place AS last_version, lag((said).recorded_at) OVER place AS last_recorded_at
        FROM given WINDOW place AS (ORDER BY position)
    )
    SELECT bool_and(coalesce(
               -- 60 s: LATENESS of FORMATS.md, section 1.
               clock_at <= clock_is AND (highest IS NULL OR clock_at >= highest - interval '60 seconds')
               AND recorded_at <= clock_at
               AND CASE
                   WHEN goes_on THEN version = last_version + 1 AND recorded_at >= last_recorded_at
                   WHEN version = 1 THEN true
                   -- Found by index, one place each. That no later version is there the unique index holds.
                   ELSE recorded_at >= (
                       SELECT l.recorded_at FROM log_entry l
                       WHERE l.stream = following.stream AND l.version = following.version - 1
                   )
               END,
               false
           )) INTO is_fine
    FROM following;
    IF NOT coalesce(is_fine, false) THEN
        RAISE EXCEPTION 'not as the log goes on' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    stored_at := base + 1;
    clock := clock_is;
END
$$;

REVOKE ALL ON FUNCTION ledger.append_together FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.append_together TO consent_service;

-- A key's row is made by the statement that stores the entry it points to. To look for that entry once more, and to lock
-- it, took a fifth of the time of an import.
ALTER TABLE ledger.idempotency_key DROP CONSTRAINT idempotency_key_position_fkey;

-- 0002's guard, asked once a statement and not once a row: a plan that looks each stream up by its index, whatever the
-- planner thinks of the numbers.
DROP TRIGGER nobody_erased ON ledger.identities;
CREATE OR REPLACE FUNCTION ledger.refuse_erased() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ledger, pg_temp SET enable_seqscan = off
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('ledger.erased_identity'::regclass::oid::bigint);
    IF EXISTS (
        SELECT FROM linked CROSS JOIN LATERAL (
            SELECT FROM log_entry l WHERE l.stream = linked.stream AND l.event = 'subject-erased' LIMIT 1
        ) erased
    ) THEN
        RAISE EXCEPTION 'the subject was erased' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER nobody_erased AFTER INSERT ON ledger.identities
    REFERENCING NEW TABLE AS linked FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_erased();
ALTER TABLE ledger.identities ENABLE ALWAYS TRIGGER nobody_erased;

-- Links of many who are new.

-- Whom the trigger above asks for are few or none: found in an index of their own, and not in one of all entries.
CREATE INDEX log_entry_erased ON ledger.log_entry (stream) WHERE event = 'subject-erased';

-- The stream is a hash of the subject id: while no two streams are the same, no two ids are.
ALTER TABLE ledger.identities DROP CONSTRAINT identities_subject_id_key;

-- Links people who are held to be new: of nobody else is anything looked up, and answers with those who are not, who have
-- a link already or were erased once. Waits for erasures under way, as link_identities.
CREATE FUNCTION ledger.link_new(names text[], fingerprints bytea[], new_ids bytea[]) RETURNS SETOF text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    linked bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared('ledger.erased_identity'::regclass::oid::bigint);
    BEGIN
        -- Not ON CONFLICT: that looks each of them up in every index first, and marks each row again once it is in.
        INSERT INTO identities (identity, subject_id, fingerprint)
        SELECT given.name, given.new_id, given.fingerprint
        FROM unnest(names, fingerprints, new_ids) AS given (name, fingerprint, new_id)
        WHERE NOT EXISTS (SELECT FROM erased_identity e WHERE e.fingerprint = given.fingerprint)
        -- In one order everywhere, so that two batches wait for each other and never both.
        ORDER BY given.name;
        GET DIAGNOSTICS linked = ROW_COUNT;
    EXCEPTION WHEN unique_violation THEN
        PERFORM link_identities(names, fingerprints, array_fill('-infinity'::timestamptz, ARRAY[cardinality(names)]), new_ids);
    END;
    IF linked IS DISTINCT FROM cardinality(names) THEN
        RETURN QUERY
        SELECT given.name FROM unnest(names, new_ids) AS given (name, new_id)
        WHERE NOT EXISTS (SELECT FROM identities i WHERE i.identity = given.name AND i.subject_id = given.new_id);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION ledger.link_new FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.link_new TO consent_service;
