-- The auditor's own state, in SQLite (ledger/audit/state.py).

CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
-- The leaf hashes of every entry seen, a batch a row: what the log said then.
CREATE TABLE leaves (first INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
-- Where each stream stands, joined: its length, chain head, last recorded_at, and how many of its entries are uses.
CREATE TABLE stream (key BLOB PRIMARY KEY, stands BLOB NOT NULL) WITHOUT ROWID;
-- How streams moved on after what the last map covers: position, key, length and head, joined.
CREATE TABLE pending (last INTEGER PRIMARY KEY, changes BLOB NOT NULL);
-- The subject map as of what the last map entry covers: pairs of key and value, sorted and joined.
CREATE TABLE bucket (number INTEGER PRIMARY KEY, pairs BLOB NOT NULL);
CREATE TABLE map_entry (position INTEGER PRIMARY KEY, covers INTEGER NOT NULL, recorded TEXT NOT NULL);
-- Checkpoints that were right when they were seen.
CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, root BLOB NOT NULL);
-- Subjects' entries, some streams together, so that whole streams can be judged: those that begin as the first one of
-- their kind does without that beginning, the others whole.
CREATE TABLE kind (number INTEGER PRIMARY KEY, first BLOB NOT NULL);
-- `place` is the part and the batch in one number: rows of a kilobyte lie closer under it than under two.
CREATE TABLE history (place INTEGER PRIMARY KEY, ends BLOB NOT NULL, whole BLOB NOT NULL);
CREATE TABLE terms (position INTEGER PRIMARY KEY, entry BLOB NOT NULL);
CREATE TABLE run (name TEXT PRIMARY KEY, position INTEGER, started BLOB, finished_position INTEGER, finished BLOB)
    WITHOUT ROWID;
-- `leaf` is what the root of run-finished is over; the primary key holds the uses of a run in that order.
CREATE TABLE use (run TEXT, leaf TEXT, stream BLOB, position INTEGER, items INTEGER, PRIMARY KEY (run, leaf))
    WITHOUT ROWID;
-- What must be judged, or judged again.
CREATE TABLE unjudged_stream (key BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE unjudged_run (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE finding (
    id INTEGER PRIMARY KEY, scope TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, position INTEGER,
    stream TEXT, version INTEGER, sentence TEXT NOT NULL, details BLOB NOT NULL
);
CREATE INDEX finding_subject ON finding (scope, subject);
CREATE INDEX finding_kind ON finding (kind, position);
