-- Whether what the server calls committed survives a crash, and the two clocks: its own, and the ledger's.
SELECT current_setting('server_version'), current_setting('fsync')::boolean,
       current_setting('full_page_writes')::boolean, current_setting('synchronous_commit') <> 'off',
       clock_timestamp(), ledger.clock()
