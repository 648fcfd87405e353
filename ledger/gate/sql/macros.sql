-- What the steps need of DuckDB, named once; macros_spark.sql is the same of Spark.
CREATE MACRO micros(text) AS epoch_us(CAST(text AS TIMESTAMPTZ));
CREATE MACRO moment(us) AS make_timestamptz(us);
CREATE MACRO time_text(us) AS strftime(make_timestamp(us), '%Y-%m-%dT%H:%M:%S.%fZ');
CREATE MACRO day_text(us) AS strftime(make_timestamp(us), '%Y-%m-%d');
-- The last moment there is, 9999-12-31T23:59:59.999999Z: nothing later can be said (FORMATS.md, section 1).
-- NULL where there is no duration: `least` would pass over it.
CREATE MACRO add_duration(us, months, days) AS CASE
    WHEN months IS NOT NULL
        THEN least(epoch_us(make_timestamp(us) + to_months(months) + to_days(days)), 253402300799999999)
END;
-- Canonical JSON (RFC 8785) of the one-line strings that names are.
CREATE MACRO json_text(text) AS '"' || replace(replace(text, '\', '\\'), '"', '\"') || '"';
-- A leaf of a manifest (FORMATS.md, section 6), and its hash (RFC 6962, section 2.1).
CREATE MACRO leaf_text(item, collected, kind) AS
    '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']';
CREATE MACRO leaf_hash(text) AS unhex(sha256(chr(0) || text));
-- Of an `accepted`: how a purpose's toggle stood, and whether the person touched it.
CREATE MACRO toggle_of(json, purpose) AS json ->> ('/data/toggles/' || purpose);
CREATE MACRO is_touched(json, purpose) AS list_contains(CAST(json -> '$.data.touched' AS VARCHAR[]), purpose);
-- What Spark has by these names.
CREATE MACRO get_json_object(json, path) AS json ->> path;
CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern);
-- Not the same number; it is compared with its like alone.
CREATE MACRO xxhash64(text) AS hash(text);
