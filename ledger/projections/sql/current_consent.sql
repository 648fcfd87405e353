-- How each toggle stands after all decisions there are (ledger/projections/current_consent.py).
CREATE TABLE {tables}.current_consent (
    stream   text COLLATE "C" NOT NULL,
    purpose  text COLLATE "C" NOT NULL,
    toggle   text COLLATE "C" NOT NULL CHECK (toggle IN ('on', 'off')),
    since    timestamptz,
    basis    bigint,
    quality  text COLLATE "C",
    terms    text COLLATE "C",
    plan     text COLLATE "C",
    gone     boolean NOT NULL,
    position bigint NOT NULL
)
