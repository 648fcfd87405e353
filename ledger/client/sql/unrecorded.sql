-- A use that the released items make and the log does not have so: which one, and whether it has another in its place.
SELECT made.stream, made.use, recorded.use IS NOT NULL
FROM made
LEFT JOIN recorded ON recorded.stream = made.stream AND recorded.use = made.use
WHERE recorded.said IS DISTINCT FROM made.said
ORDER BY made.stream, made.use
LIMIT 1
