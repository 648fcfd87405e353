"""The projections: tables rebuilt from the log (design, section 7). A new one is a file, its table, and a line here."""

from __future__ import annotations

from ledger.projections.adoption import ADOPTION
from ledger.projections.current_consent import CURRENT_CONSENT
from ledger.projections.granted_intervals import GRANTED_INTERVALS
from ledger.projections.projection import Projection
from ledger.projections.retention import RETENTION
from ledger.projections.training_uses import TRAINING_USES
from ledger.projections.verdict_spans import VERDICT_SPANS

PROJECTIONS: dict[str, Projection] = {
    projection.name: projection
    for projection in (CURRENT_CONSENT, GRANTED_INTERVALS, TRAINING_USES, VERDICT_SPANS, RETENTION, ADOPTION)
}
