-- The run's uses in the bytewise order of `["<stream>",<version>]`: a version is decimal there, so 10 comes before 9.
SELECT stream, version FROM use ORDER BY stream, CAST(version AS STRING) || ']'
