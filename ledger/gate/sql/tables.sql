-- What is given to the steps: the run, the rules, who is who, and the people's entries as of the cutoff.
CREATE TABLE run (purpose STRING, kind STRING, started BIGINT, judged BIGINT);
CREATE TABLE terms (
    version STRING, future_runs BOOLEAN, untouched_refused BOOLEAN,
    on_months INTEGER, on_days INTEGER, off_months INTEGER, off_days INTEGER, deadline BIGINT
);
CREATE TABLE terms_plan (version STRING, plan STRING);
CREATE TABLE terms_kind (version STRING, kind STRING);
CREATE TABLE subject (subject STRING, stream STRING, erased BIGINT);
CREATE TABLE entry (stream STRING, version BIGINT, event STRING, recorded BIGINT, json STRING);
CREATE TABLE use (stream STRING, version BIGINT, basis BIGINT, items BIGINT);
CREATE TABLE judged_again ("row" BIGINT, basis BIGINT, quality STRING, terms STRING, keep_until BIGINT, reason STRING);
-- Whose items are to be judged again: their streams moved on.
CREATE TABLE moved_on (stream STRING);
