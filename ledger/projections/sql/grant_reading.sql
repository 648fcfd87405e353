-- The service reads what only the runner writes.
GRANT USAGE ON SCHEMA {tables} TO consent_service;
GRANT SELECT ON ALL TABLES IN SCHEMA {tables} TO consent_service
