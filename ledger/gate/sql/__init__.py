"""The gate's SQL, one step a file: times are microseconds since 1970, in UTC, so that no engine has a say in them."""
