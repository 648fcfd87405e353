-- Where tree and map stand, and whether a sequencer follows.
SELECT tree_size, map_covers, map_streams, coalesce(follows_until > clock_timestamp(), false) FROM ledger.sequenced
