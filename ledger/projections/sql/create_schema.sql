-- A schema for a projection's tables.
CREATE SCHEMA {tables}
