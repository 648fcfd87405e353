-- A whole log, by its owner: the one way in beside ledger.append. What each row says is taken from its entry.
COPY ledger.log_entry (position, stream, version, event, recorded_at, imported, entry) FROM STDIN (FORMAT binary)
