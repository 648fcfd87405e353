-- One link; the same again does nothing, another of either side is an error.
INSERT INTO ledger.identities (identity, subject_id, fingerprint)
SELECT %(identity)s, %(subject_id)s, %(fingerprint)s
WHERE NOT EXISTS (
    SELECT FROM ledger.identities WHERE identity = %(identity)s AND subject_id = %(subject_id)s
)
