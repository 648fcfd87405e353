-- The map is folded up to this position now, with this many streams.
UPDATE ledger.sequenced SET map_covers = %(covers)s, map_streams = %(streams)s
