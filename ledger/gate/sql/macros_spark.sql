-- What the steps need of Spark, named once; macros.sql is the same of DuckDB.
CREATE TEMPORARY FUNCTION micros(text STRING) RETURNS BIGINT RETURN unix_micros(CAST(text AS TIMESTAMP));
CREATE TEMPORARY FUNCTION moment(us BIGINT) RETURNS TIMESTAMP RETURN timestamp_micros(us);
CREATE TEMPORARY FUNCTION time_text(us BIGINT) RETURNS STRING
RETURN replace(date_format(timestamp_micros(us), 'yyyy-MM-dd HH:mm:ss.SSSSSS'), ' ', 'T') || 'Z';
CREATE TEMPORARY FUNCTION day_text(us BIGINT) RETURNS STRING RETURN date_format(timestamp_micros(us), 'yyyy-MM-dd');
-- The last moment there is, 9999-12-31T23:59:59.999999Z: nothing later can be said (FORMATS.md, section 1).
-- NULL where there is no duration: `least` would pass over it.
CREATE TEMPORARY FUNCTION add_duration(us BIGINT, months INTEGER, days INTEGER) RETURNS BIGINT
RETURN CASE
    WHEN months IS NOT NULL THEN least(
        unix_micros(timestamp_micros(us) + make_ym_interval(0, months) + make_dt_interval(days)), 253402300799999999
    )
END;
-- Canonical JSON (RFC 8785) of the one-line strings that names are; 92 is the backslash.
CREATE TEMPORARY FUNCTION json_text(text STRING) RETURNS STRING
RETURN '"' || replace(replace(text, chr(92), chr(92) || chr(92)), '"', chr(92) || '"') || '"';
-- A leaf of a manifest (FORMATS.md, section 6), and its hash (RFC 6962, section 2.1).
CREATE TEMPORARY FUNCTION leaf_text(item STRING, collected BIGINT, kind STRING) RETURNS STRING
RETURN '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']';
CREATE TEMPORARY FUNCTION leaf_hash(text STRING) RETURNS BINARY RETURN unhex(sha2(encode(chr(0) || text, 'UTF-8'), 256));
-- Of an `accepted`: how a purpose's toggle stood, and whether the person touched it.
CREATE TEMPORARY FUNCTION toggle_of(json STRING, purpose STRING) RETURNS STRING
RETURN try_element_at(from_json(get_json_object(json, '$.data.toggles'), 'map<string, string>'), purpose);
CREATE TEMPORARY FUNCTION is_touched(json STRING, purpose STRING) RETURNS BOOLEAN
RETURN array_contains(from_json(get_json_object(json, '$.data.touched'), 'array<string>'), purpose);
