-- Where the log ends, and all that is known of names and stream keys, of one snapshot: links from names, links to stream
-- keys, and when names were last erased. Without any of them one row that has the position alone.
SELECT head.position, found.kind, found.name, found.bytes, found.erased_at
FROM (SELECT coalesce(max(position), 0) AS position FROM ledger.log_entry) AS head
LEFT JOIN (
    SELECT 'identity' AS kind, identity AS name, subject_id AS bytes, NULL::timestamptz AS erased_at
    FROM ledger.find_identities(%(names)b::text[])
    UNION ALL
    SELECT 'stream', stream, subject_id, NULL
    FROM ledger.find_subject_ids(%(streams)b::text[])
    UNION ALL
    SELECT 'erased', NULL, fingerprint, max(erased_at)
    FROM ledger.erased_identity
    WHERE fingerprint = ANY (%(prints)b::bytea[])
    GROUP BY fingerprint
) AS found ON true
