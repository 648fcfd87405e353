-- Makes the missing links, and answers with all there are (migrations, 0002).
SELECT identity, subject_id
FROM ledger.link_identities(%(names)s::text[], %(prints)s::bytea[], %(recorded)s::timestamptz[], %(new_ids)s::bytea[])
