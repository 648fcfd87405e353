-- Stores the appends of one batch, or says of each why not (migrations, 0001).
SELECT append, outcome, stored_at, clock
FROM ledger.append(
    %(appends)b::integer[], %(entries)b::bytea[],
    %(key_appends)b::integer[], %(key_versions)b::bigint[],
    %(keys)b::bytea[], %(requests)b::bytea[], %(fences)b::boolean[],
    %(evidence_appends)b::integer[], %(digests)b::bytea[], %(salts)b::bytea[], %(bodies)b::bytea[]
)
