"""The meaning of consent, as pure functions: no I/O, no clock, no randomness, no framework."""
