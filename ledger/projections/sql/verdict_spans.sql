-- All that a verdict asks of a person, in one row (ledger/projections/verdict_spans.py).
CREATE TABLE {tables}.verdict_spans (
    stream   text COLLATE "C" NOT NULL,
    shown    boolean NOT NULL,
    when_off text COLLATE "C",
    purposes jsonb NOT NULL,
    gone     boolean NOT NULL,
    position bigint NOT NULL
)
