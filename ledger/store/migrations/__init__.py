"""The steps from an empty database to today's, in the order of their numbers; a landed step is never edited."""
