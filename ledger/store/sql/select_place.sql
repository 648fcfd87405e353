-- Where an entry lies, and its bytes, by stream and version.
SELECT position, entry FROM ledger.log_entry WHERE stream = %(stream)s AND version = %(version)s
