-- What the steps need of the engine, named once; another engine brings its own.
CREATE MACRO micros(text) AS epoch_us(CAST(text AS TIMESTAMPTZ));
CREATE MACRO time_text(us) AS strftime(make_timestamp(us), '%Y-%m-%dT%H:%M:%S.%fZ');
-- The last moment there is, 9999-12-31T23:59:59.999999Z: nothing later can be said (FORMATS.md, section 1).
-- NULL where there is no duration: `least` would pass over it.
CREATE MACRO add_duration(us, months, days) AS CASE
    WHEN months IS NOT NULL
        THEN least(epoch_us(make_timestamp(us) + to_months(months) + to_days(days)), 253402300799999999)
END;
-- Canonical JSON (RFC 8785) of the one-line strings that names are.
CREATE MACRO json_text(text) AS '"' || replace(replace(text, '\', '\\'), '"', '\"') || '"';
