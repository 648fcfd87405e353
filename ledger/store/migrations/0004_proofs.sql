-- Tree, subject map and checkpoints (design, section 6). But for the checkpoints all of it is a cache: it follows from
-- the entries, and whoever doubts it makes it again from them.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'consent_sequencer') THEN
        CREATE ROLE consent_sequencer NOLOGIN;
    END IF;
    GRANT consent_sequencer TO CURRENT_USER;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    NULL; -- another ledger's init was a moment faster, or whoever made the roles grants them
END
$$;
GRANT USAGE ON SCHEMA ledger TO consent_sequencer;
GRANT SELECT ON ledger.migration, ledger.ledger, ledger.log_entry TO consent_sequencer;
GRANT EXECUTE ON FUNCTION ledger.clock TO consent_sequencer;

-- The tree of RFC 6962 over all leaves, in tiles as tlog-tiles has them: 256 hashes wide, the last of a level partial.
CREATE TABLE ledger.tree_tile (
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 63),
    number bigint NOT NULL CHECK (number >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) BETWEEN 32 AND 8192 AND octet_length(hashes) % 32 = 0),
    PRIMARY KEY (level, number)
);
ALTER TABLE ledger.tree_tile ALTER hashes SET STORAGE EXTERNAL; -- no compression makes hashes shorter

-- The leaves of the map: of each stream its length and the head of its chain (FORMATS.md, sections 4 and 5), sorted into
-- buckets by the first bits of the key, so that what is hashed together is read together.
CREATE TABLE ledger.stream_head (
    bucket integer NOT NULL CHECK (bucket >= 0),
    key    bytea NOT NULL CHECK (octet_length(key) = 32),
    length bigint NOT NULL CHECK (length >= 1),
    head   bytea NOT NULL CHECK (octet_length(head) = 32),
    -- The stream value, hashed here once a change and not once a reading of its bucket.
    value  bytea NOT NULL GENERATED ALWAYS AS (
        sha256('consent-ledger/v1/stream'::bytea || '\x0a'::bytea || int8send(length) || head)
    ) STORED,
    PRIMARY KEY (bucket, key)
) WITH (fillfactor = 80); -- a head changes in its place

-- The map's nodes from the root, depth 0, down to the buckets. A missing one is empty; one of kind 1 is a single leaf,
-- which travels up unhashed; 2 is a node of two.
CREATE TABLE ledger.map_node (
    depth smallint NOT NULL CHECK (depth BETWEEN 0 AND 30),
    index integer NOT NULL CHECK (index >= 0),
    kind  smallint NOT NULL CHECK (kind BETWEEN 0 AND 2),
    hash  bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (depth, index)
) WITH (fillfactor = 70); -- nodes change at every checkpoint

-- How many entries the tree has, and up to which position the map is folded, with how many streams. While a sequencer
-- follows, it promises that what is recorded until then is covered soon.
CREATE TABLE ledger.sequenced (
    single        boolean PRIMARY KEY DEFAULT true CHECK (single),
    tree_size     bigint NOT NULL DEFAULT 0 CHECK (tree_size >= 0),
    map_covers    bigint NOT NULL DEFAULT 0 CHECK (map_covers >= 0),
    map_streams   bigint NOT NULL DEFAULT 0 CHECK (map_streams >= 0),
    follows_until timestamptz
);
INSERT INTO ledger.sequenced DEFAULT VALUES;

-- What was signed. `covers` is that of the map entry at position `size`.
CREATE TABLE ledger.checkpoint (
    size         bigint PRIMARY KEY CHECK (size >= 0),
    root         bytea NOT NULL CHECK (octet_length(root) = 32),
    covers       bigint NOT NULL CHECK (covers BETWEEN 0 AND greatest(size - 1, 0)),
    note         text COLLATE "C" NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.checkpoint
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON ledger.checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
ALTER TABLE ledger.checkpoint ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE ledger.checkpoint ENABLE ALWAYS TRIGGER never_truncated;

-- Signature lines that came after the checkpoint: of witnesses, of auditors, of a new log key.
CREATE TABLE ledger.cosignature (
    size   bigint NOT NULL REFERENCES ledger.checkpoint (size),
    name   text COLLATE "C" NOT NULL,
    key_id bytea NOT NULL CHECK (octet_length(key_id) = 4),
    line   text COLLATE "C" NOT NULL CHECK (line LIKE E'%\n'),
    PRIMARY KEY (size, name, key_id)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.tree_tile, ledger.stream_head, ledger.map_node TO consent_sequencer;
GRANT SELECT, UPDATE ON ledger.sequenced TO consent_sequencer;
GRANT SELECT, INSERT ON ledger.checkpoint TO consent_sequencer;
GRANT SELECT, INSERT, UPDATE ON ledger.cosignature TO consent_sequencer;
GRANT SELECT ON ledger.tree_tile, ledger.stream_head, ledger.map_node, ledger.sequenced, ledger.checkpoint,
    ledger.cosignature TO consent_service;
