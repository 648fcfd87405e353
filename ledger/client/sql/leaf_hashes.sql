-- The hash of every leaf (RFC 6962, section 2.1), each once, in order: a file of them is searched by halving.
SELECT DISTINCT unhex(sha256('\x00'::BLOB || encode(leaf))) AS hash
FROM released
ORDER BY hash
