"""The relay: projections published to somebody else's stream."""
