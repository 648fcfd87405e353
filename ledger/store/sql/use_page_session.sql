-- A session that is neither idle nor old, which is thereby in use; and since when it is open.
UPDATE ledger.page_session SET used_at = clock_timestamp()
WHERE digest = %(digest)s
    AND used_at > clock_timestamp() - %(idle)s::interval
    AND opened_at > clock_timestamp() - %(longest)s::interval
RETURNING sealed, opened_at
