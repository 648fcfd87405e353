-- How long what was collected when may be kept, and by when it must be gone (ledger/projections/retention.py).
CREATE TABLE {tables}.retention (
    stream     text COLLATE "C" NOT NULL,
    purpose    text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    starts     timestamptz,
    ends       timestamptz,
    terms      text COLLATE "C",
    keep       text COLLATE "C",
    keep_until timestamptz,
    gone_by    timestamptz,
    gone       boolean NOT NULL,
    position   bigint NOT NULL
)
