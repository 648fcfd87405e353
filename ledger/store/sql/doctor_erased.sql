-- Of streams of erased subjects, those of which something erasable is left.
SELECT stream, 'a link to an identity' FROM ledger.find_subject_ids(%(streams)s)
UNION
SELECT stream, 'evidence' FROM ledger.evidence WHERE stream = ANY (%(streams)s)
