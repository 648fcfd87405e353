-- Who the subjects are, and the material behind events: the only tables from which anything is ever deleted.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_identities') THEN
        CREATE ROLE consent_identities NOLOGIN;
    END IF;
    GRANT consent_identities TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL; -- another ledger's init was a moment faster, or whoever made the roles grants them
END
$$;
GRANT USAGE ON SCHEMA ledger TO consent_identities;
GRANT SELECT ON ledger.migration, ledger.ledger TO consent_identities;

CREATE TABLE ledger.identities (
    -- 512 characters: more than any e-mail address or account id, and within what an index row can hold.
    identity   text COLLATE "C" PRIMARY KEY CHECK (char_length(identity) BETWEEN 1 AND 512),
    subject_id bytea NOT NULL UNIQUE CHECK (octet_length(subject_id) = 16),
    -- What an erasure leaves of the identity: see erased_identity.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    stream     text COLLATE "C" NOT NULL UNIQUE
        GENERATED ALWAYS AS (encode(sha256('consent-ledger/v1/subject'::bytea || '\x0a'::bytea || subject_id), 'hex')) STORED
);

CREATE TABLE ledger.evidence (
    stream text COLLATE "C" NOT NULL,
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    salt   bytea NOT NULL CHECK (octet_length(salt) = 32),
    body   bytea NOT NULL CHECK (octet_length(body) <= 65536),
    PRIMARY KEY (stream, digest)
);

-- HMAC-SHA-256 of an erased identity, under a secret that the database does not hold: an old import must not
-- bring the person back. They may come back themselves, and be erased again: one row each time.
CREATE TABLE ledger.erased_identity (
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    erased_at   timestamptz NOT NULL,
    PRIMARY KEY (fingerprint, erased_at)
);

-- No link leads to a subject that was erased, whoever makes it: a list of links that was saved before must not bring
-- the person back. After each row, for the stream is computed; it waits for erasures under way, as link_identities.
CREATE FUNCTION ledger.refuse_erased() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared('ledger.erased_identity'::regclass::oid::bigint);
    IF EXISTS (SELECT FROM log_entry l WHERE l.stream = NEW.stream AND l.event = 'subject-erased') THEN
        RAISE EXCEPTION 'the subject was erased' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER nobody_erased AFTER INSERT ON ledger.identities
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_erased();
ALTER TABLE ledger.identities ENABLE ALWAYS TRIGGER nobody_erased;

-- The service may ask for those it can name, and cannot list the others.
CREATE FUNCTION ledger.find_identities(names text[])
RETURNS TABLE (identity text, subject_id bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
    SELECT i.identity, i.subject_id FROM identities i WHERE i.identity = ANY (names)
$$;

CREATE FUNCTION ledger.find_subject_ids(streams text[])
RETURNS TABLE (stream text, subject_id bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
    SELECT i.stream, i.subject_id FROM identities i WHERE i.stream = ANY (streams)
$$;

-- Links identities to new subjects, but those erased at or after the time they were recorded; answers with all
-- links there are now. Waits for erasures under way: which of the two comes first decides.
CREATE FUNCTION ledger.link_identities(names text[], fingerprints bytea[], recorded timestamptz[], new_ids bytea[])
RETURNS TABLE (identity text, subject_id bytea)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared('ledger.erased_identity'::regclass::oid::bigint);
    INSERT INTO identities (identity, subject_id, fingerprint)
    SELECT given.name, given.new_id, given.fingerprint
    FROM unnest(names, fingerprints, recorded, new_ids) AS given (name, fingerprint, recorded, new_id)
    WHERE NOT EXISTS (
        SELECT FROM erased_identity e WHERE e.fingerprint = given.fingerprint AND e.erased_at >= given.recorded
    )
    -- In one order everywhere, so that two batches wait for each other and never both.
    ORDER BY given.name
    ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT i.identity, i.subject_id FROM identities i WHERE i.identity = ANY (names);
END
$$;

-- Deletes what may be deleted of one subject; in the transaction that appended `subject-erased`.
CREATE FUNCTION ledger.forget(of_stream text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ledger, pg_temp
AS $$
DECLARE
    erased timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock('ledger.erased_identity'::regclass::oid::bigint);
    SELECT l.recorded_at INTO erased FROM log_entry l WHERE l.stream = of_stream AND l.event = 'subject-erased';
    IF erased IS NULL THEN
        RAISE EXCEPTION 'nothing is forgotten of a subject before subject-erased stands in their stream';
    END IF;
    DELETE FROM evidence e WHERE e.stream = of_stream;
    WITH gone AS (DELETE FROM identities i WHERE i.stream = of_stream RETURNING i.fingerprint)
    INSERT INTO erased_identity SELECT gone.fingerprint, erased FROM gone ON CONFLICT DO NOTHING;
END
$$;

REVOKE ALL ON FUNCTION
    ledger.find_identities, ledger.find_subject_ids, ledger.link_identities, ledger.forget FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    ledger.find_identities, ledger.find_subject_ids, ledger.link_identities, ledger.forget TO consent_service;
GRANT SELECT ON ledger.evidence, ledger.erased_identity TO consent_service;
-- Whoever moves a ledger carries the links; no service needs to.
GRANT SELECT, INSERT ON ledger.identities TO consent_identities;
