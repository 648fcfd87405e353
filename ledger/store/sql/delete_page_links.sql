-- Links that nobody opened in time, the oldest first; a few at once, so that nobody's own link waits for long.
DELETE FROM ledger.page_link WHERE digest IN (
    SELECT digest FROM ledger.page_link WHERE expires_at <= clock_timestamp() ORDER BY expires_at LIMIT 100
)
