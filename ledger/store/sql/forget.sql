-- Deletes what is erasable of one subject, after subject-erased was appended (migrations, 0002).
SELECT ledger.forget(%(stream)s)
