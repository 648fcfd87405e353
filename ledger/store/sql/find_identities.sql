-- The subjects of identities.
SELECT identity, subject_id FROM ledger.find_identities(%(names)b::text[])
