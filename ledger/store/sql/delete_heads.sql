-- All leaves of the map: it is made again from the entries.
DELETE FROM ledger.stream_head
