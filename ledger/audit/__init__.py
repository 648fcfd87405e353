"""The full replay of a log by somebody who does not trust its operator (design, section 6; FORMATS.md section 7).

Pure checks over what a source yields, with a state file of the auditor's own; no database is needed but for a ledger.
"""

from __future__ import annotations
