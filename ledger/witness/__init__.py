"""A witness of logs, and the log's way to the witnesses of others (C2SP tlog-witness)."""
