-- What finds a row by its key, and what changed after a position. Of the same names whenever it is made.
ALTER TABLE {table} ADD PRIMARY KEY ({key});
CREATE INDEX ON {table} (position)
