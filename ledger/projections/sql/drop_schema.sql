-- A schema that nobody reads any more, with its tables.
DROP SCHEMA IF EXISTS {tables} CASCADE
