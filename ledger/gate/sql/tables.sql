-- What is given to the steps: the run, the rules, who is who, and the people's entries as of the cutoff.
CREATE TABLE run (purpose VARCHAR, kind VARCHAR, started BIGINT, judged BIGINT);
CREATE TABLE terms (
    version VARCHAR, future_runs BOOLEAN, untouched_refused BOOLEAN,
    on_months INTEGER, on_days INTEGER, off_months INTEGER, off_days INTEGER, deadline BIGINT
);
CREATE TABLE terms_plan (version VARCHAR, plan VARCHAR);
CREATE TABLE terms_kind (version VARCHAR, kind VARCHAR);
CREATE TABLE subject (subject VARCHAR, stream VARCHAR, erased BIGINT);
CREATE TABLE entry (stream VARCHAR, version BIGINT, event VARCHAR, recorded BIGINT, json VARCHAR);
CREATE TABLE use (stream VARCHAR, version BIGINT, basis BIGINT, items BIGINT);
CREATE TABLE judged_again (row BIGINT, basis BIGINT, quality VARCHAR, terms VARCHAR, keep_until BIGINT, reason VARCHAR);
