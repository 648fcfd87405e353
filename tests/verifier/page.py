"""The verifier page: what its file says, and its functions asked from Python."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from ledger.domain.times import format_time

PAGE = Path(__file__).parents[2] / "verifier" / "verifier.html"

#: Answers hold moments as BigInt and bytes, which no JSON has: times come back as entries write them.
_VERIFY = """async ([file, asked]) => {
  const bytes = Uint8Array.from(atob(file), (character) => character.charCodeAt(0));
  const given = {trust: asked.trust, subject: asked.subject, now: parseTime(asked.now)};
  if (asked.maxAge) given.maxAge = parseAge(asked.maxAge);
  const answer = await verifyBundle(bytes, given);
  return {
    overall: answer.overall,
    checks: answer.checks,
    summary: summaryOf(answer),
    uses: (answer.history?.uses ?? []).map((judged) => ({
      version: judged.use.version,
      known: judged.known?.reason ?? null,
      hindsight: judged.hindsight?.reason ?? null,
      standing: standingOf(judged),
      violations: judged.violations.map((one) => one.kind),
      imported: judged.imported,
      said: useInWords(judged).map(([, words]) => words),
    })),
  };
}"""


#: A function of JavaScript: the page's sentence about what it refuses, or null; errors of other kinds fail the test.
REFUSAL_OF = """
  const refusalOf = async (work) => {
    try {
      await work();
      return null;
    } catch (error) {
      if (error instanceof Refusal) return error.message;
      throw error;
    }
  };
"""


@dataclass(frozen=True)
class Answer:
    """What the page says of a bundle."""

    overall: str
    #: By their names: the state of each check, and its sentence.
    states: dict[str, str]
    sentences: dict[str, str]
    summary: list[str]
    uses: list[dict[str, Any]]

    @property
    def failed(self) -> str | None:
        """The check that does not hold."""
        return next((name for name, state in self.states.items() if state == "fails"), None)


class Verifier:
    """The functions of an open page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def ask(self, function: str, argument: Any = None) -> Any:
        """What a function of JavaScript answers to JSON; as texts, since Playwright walks through anything else."""
        asking = f"async (text) => JSON.stringify(await ({function})(JSON.parse(text)))"
        return json.loads(self.page.evaluate(asking, json.dumps(argument)))

    def verify(
        self, bundle: bytes, trust: str, subject: str = "", *, now: datetime | None = None, max_age: str = ""
    ) -> Answer:
        asked = {
            "trust": trust,
            "subject": subject,
            "maxAge": max_age,
            "now": format_time(now) if now else "2025-10-01T00:00:00.000000Z",
        }
        found = self.ask(_VERIFY, [base64.b64encode(bundle).decode(), asked])
        checks = found["checks"]
        return Answer(
            overall=found["overall"],
            states={check["id"]: check["state"] for check in checks},
            sentences={check["id"]: check["sentence"] for check in checks},
            summary=found["summary"],
            uses=found["uses"],
        )


def policy(text: str) -> dict[str, str]:
    """The directives of the page's content security policy."""
    (content,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)">', text)
    directives = (directive.split(" ", 1) for directive in content.split("; "))
    return {words[0]: words[-1] for words in directives}


def hash_of(text: str, element: str) -> str:
    """The source expression that allows the page's one inline `element`, as CSP has it."""
    (inside,) = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
