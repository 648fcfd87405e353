-- The verdict on every item as of the cutoff: the table of the design's section 4, first match wins.
CREATE TABLE verdict AS
WITH met AS (
    SELECT item.*, person.number, person.identity_erased, person.erased, person.decided, person.shown_terms,
           person.deadline, span.basis, span.quality, span.terms, span.ends, span.uncovered, span.denied,
           coalesce(item.plan, span.plan) AS plan_then,
           terms.future_runs, run.started, run.judged,
           CASE
               WHEN item.unreadable IS NOT NULL OR person.number IS NULL OR person.erased IS NOT NULL THEN NULL
               WHEN span.basis IS NULL THEN add_duration(item.collected, person.off_months, person.off_days)
               WHEN terms.future_runs AND span.ends IS NOT NULL THEN least(
                   add_duration(item.collected, terms.on_months, terms.on_days),
                   add_duration(span.ends, terms.off_months, terms.off_days)
               )
               ELSE add_duration(item.collected, terms.on_months, terms.on_days)
           END AS keep_until
    FROM item
    CROSS JOIN run
    LEFT JOIN person ON person.identity = item.identity
    LEFT JOIN span ON span.number = person.number AND span.begins <= item.collected AND item.collected < span.until
    LEFT JOIN terms ON terms.version = span.terms
)
SELECT met."row", met.own, met.item, met.collected, met.kind, met.plan, met.number,
       CASE
           WHEN unreadable IS NOT NULL THEN 'item-unreadable'
           WHEN ambiguous THEN 'item-ambiguous'
           -- Only an identity that was erased has this time; what came before it is gone for good.
           WHEN collected <= identity_erased THEN 'erased'
           WHEN number IS NULL THEN 'unknown-subject'
           WHEN erased IS NOT NULL THEN 'erased'
           WHEN exclude IS NOT NULL THEN 'item-excluded'
           WHEN collected > judged + 5000000 THEN 'collected-in-future'
           WHEN NOT decided AND shown_terms IS NULL THEN 'no-terms-shown'
           WHEN NOT decided THEN 'no-decision'
           WHEN uncovered IS NOT NULL THEN uncovered
           WHEN terms_plan.plan IS NULL THEN 'plan-not-covered'
           WHEN terms_kind.kind IS NULL THEN 'kind-not-covered'
           WHEN future_runs AND ends <= greatest(collected, started) THEN 'withdrawn-before-run'
           WHEN keep_until < started THEN 'retention-expired'
           ELSE 'granted'
       END AS reason,
       CASE reason
           WHEN 'item-unreadable' THEN unreadable
           WHEN 'item-ambiguous' THEN 'the same name stands for another subject, time or kind'
           WHEN 'erased' THEN 'erased ' || time_text(coalesce(erased, identity_erased))
           WHEN 'item-excluded' THEN exclude
           WHEN 'collected-in-future' THEN 'judged ' || time_text(judged)
           WHEN 'no-decision' THEN 'shown ' || shown_terms || ', judged '
               || CASE WHEN judged >= deadline THEN 'after' ELSE 'before' END
               || ' the deadline of ' || day_text(deadline)
           WHEN 'default-not-accepted' THEN denied
           WHEN 'plan-not-covered' THEN met.plan_then
           WHEN 'kind-not-covered' THEN met.kind
       END AS detail,
       reason IN ('item-unreadable', 'item-ambiguous', 'unknown-subject', 'erased') AS unjudged,
       CASE WHEN NOT unjudged THEN keep_until END AS keep_until,
       CASE WHEN NOT unjudged THEN basis END AS basis,
       CASE WHEN NOT unjudged THEN quality END AS quality,
       CASE WHEN NOT unjudged THEN met.terms END AS terms
FROM met
LEFT JOIN terms_plan ON terms_plan.version = met.terms AND terms_plan.plan = met.plan_then
LEFT JOIN terms_kind ON terms_kind.version = met.terms AND terms_kind.kind = met.kind;
