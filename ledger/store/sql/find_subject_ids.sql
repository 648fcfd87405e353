-- The subject ids behind stream keys, while they are linked.
SELECT stream, subject_id FROM ledger.find_subject_ids(%(streams)b::text[])
