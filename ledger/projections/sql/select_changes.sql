-- Rows above a position, in that order; those of one position stay together, so that any row's is one to resume from.
SELECT {columns} FROM {table} WHERE position > %(after)s ORDER BY position FETCH FIRST %(limit)s ROWS WITH TIES
