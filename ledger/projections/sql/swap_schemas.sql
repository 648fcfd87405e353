-- The rebuilt tables take the place of the live ones; the live ones may have been dropped by somebody.
CREATE SCHEMA IF NOT EXISTS {live};
ALTER SCHEMA {live} RENAME TO {replaced};
ALTER SCHEMA {rebuilt} RENAME TO {live}
