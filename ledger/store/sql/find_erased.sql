-- When each of these identities was last erased.
SELECT fingerprint, max(erased_at)
FROM ledger.erased_identity
WHERE fingerprint = ANY (%(prints)b::bytea[])
GROUP BY fingerprint
