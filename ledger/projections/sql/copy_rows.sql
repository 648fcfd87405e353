-- Rows in binary, of the types of select_types.
COPY {table} ({columns}) FROM STDIN (FORMAT binary)
