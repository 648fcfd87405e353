-- A sequencer follows for these seconds to come; without any, none does.
UPDATE ledger.sequenced SET follows_until = clock_timestamp() + make_interval(secs => %(seconds)s)
