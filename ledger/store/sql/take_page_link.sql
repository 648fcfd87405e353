-- What a link opens, once: of two who take it at the same moment, one finds nothing.
DELETE FROM ledger.page_link WHERE digest = %(digest)s AND expires_at > clock_timestamp() RETURNING sealed
