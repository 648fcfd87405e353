-- The subjects whose uses do not follow the cutoff at once: something came between.
SELECT use.stream, record.version, min(use.version)
FROM use JOIN record ON record.stream = use.stream
GROUP BY use.stream, record.version
HAVING min(use.version) > record.version + 1
ORDER BY use.stream
