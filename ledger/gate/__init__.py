"""The gate: a candidate training set in, what a run may use and what not out, and the uses in the log (design, 8)."""
