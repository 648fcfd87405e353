-- What the run may use, in input order. {columns} are the input's own.
SELECT {columns}, a.kind, a.stream, a.use, a.basis, a.quality, a.terms, moment(a.keep_until) AS keep_until
FROM source s JOIN answer a ON a."row" = s."row"
WHERE a.reason = 'granted'
ORDER BY s."row"
