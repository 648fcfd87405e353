-- What it may not, and why, after the input's own columns, in input order.
SELECT {columns}, a.kind, a.reason, a.detail, moment(a.keep_until) AS keep_until
FROM ({answer}) a
WHERE a.reason <> 'granted'
ORDER BY a."row"
