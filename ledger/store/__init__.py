"""The store: the only place that speaks SQL to the log (design, section 5)."""
