-- What became of each showing of terms (ledger/projections/adoption.py).
CREATE TABLE {tables}.adoption (
    stream             text COLLATE "C" NOT NULL,
    terms              text COLLATE "C" NOT NULL,
    began              timestamptz NOT NULL,
    plan               text COLLATE "C" NOT NULL,
    surface            text COLLATE "C" NOT NULL,
    shown              boolean NOT NULL,
    accepted           boolean NOT NULL,
    accepted_on        boolean NOT NULL,
    accepted_untouched boolean NOT NULL,
    turned_off_later   boolean NOT NULL,
    decide_seconds     double precision,
    gone               boolean NOT NULL,
    position           bigint NOT NULL
)
