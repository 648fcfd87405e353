-- What the run may use, after the input's own columns, in input order.
SELECT {columns}, a.kind, a.stream, a.use, a.basis, a.quality, a.terms, moment(a.keep_until) AS keep_until
FROM ({answer}) a
WHERE a.reason = 'granted'
ORDER BY a."row"
