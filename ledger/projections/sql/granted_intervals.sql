-- The span of time that each grant covers (ledger/projections/granted_intervals.py).
CREATE TABLE {tables}.granted_intervals (
    stream   text COLLATE "C" NOT NULL,
    purpose  text COLLATE "C" NOT NULL,
    version  bigint NOT NULL,
    starts   timestamptz NOT NULL,
    ends     timestamptz,
    quality  text COLLATE "C" NOT NULL,
    terms    text COLLATE "C",
    gone     boolean NOT NULL,
    position bigint NOT NULL
)
