"""Proofs made from the ledger: of a person's history, of one entry, of growth, of one item, and the static log."""
