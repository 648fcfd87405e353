-- What a promise rests on: how far the last checkpoint reaches, and whether a sequencer follows.
SELECT (SELECT coalesce(max(size), 0) FROM ledger.checkpoint), coalesce(follows_until > clock_timestamp(), false)
FROM ledger.sequenced
