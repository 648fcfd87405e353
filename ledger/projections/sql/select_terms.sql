-- The terms published up to a position.
SELECT position, entry FROM ledger.log_entry
WHERE stream = %(stream)s AND position <= %(until)s ORDER BY version
