"""The service: the ledger over HTTP (design, section 11)."""
