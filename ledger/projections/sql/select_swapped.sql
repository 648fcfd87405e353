-- Whether the schema that now has this name is another than in this transaction's snapshot: then its tables hold rows
-- that the snapshot does not see. The cast goes by the newest catalog, the query by the snapshot.
SELECT NOT EXISTS (
    SELECT FROM pg_namespace WHERE oid = to_regnamespace(%(tables)s) AND nspname = %(tables)s
)
