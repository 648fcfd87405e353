-- Stores the appends of one batch together; an error where anything is in their way (migrations, 0005).
SELECT stored_at, clock
FROM ledger.append_together(
    %(entries)b::bytea[], %(keyed)b::integer[], %(keys)b::bytea[], %(requests)b::bytea[], %(fences)b::boolean[]
)
