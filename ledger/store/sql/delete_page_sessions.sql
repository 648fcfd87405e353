-- Sessions that are idle or old, likewise.
DELETE FROM ledger.page_session WHERE digest IN (
    SELECT digest FROM ledger.page_session
    WHERE used_at <= clock_timestamp() - %(idle)s::interval OR opened_at <= clock_timestamp() - %(longest)s::interval
    ORDER BY used_at LIMIT 100
)
