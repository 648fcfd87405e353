-- What of whom went into which run (ledger/projections/training_uses.py).
CREATE TABLE {tables}.training_uses (
    stream          text COLLATE "C" NOT NULL,
    version         bigint NOT NULL,
    run             text COLLATE "C" NOT NULL,
    purpose         text COLLATE "C" NOT NULL,
    basis           bigint,
    items           jsonb NOT NULL,
    item_count      bigint NOT NULL,
    collected_from  timestamptz NOT NULL,
    collected_until timestamptz NOT NULL,
    manifest        text COLLATE "C" NOT NULL,
    attested        boolean NOT NULL,
    gone            boolean NOT NULL,
    position        bigint NOT NULL
)
