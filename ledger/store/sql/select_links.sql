-- All links, in a stable order.
SELECT identity, subject_id FROM ledger.identities ORDER BY identity
