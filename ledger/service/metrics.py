"""What the service counts, in the text format of Prometheus."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds; from a remembered answer up to what somebody gives up on.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counted in the event loop alone, so without locks; what is measured anew each time is given to `text`."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds = Histogram()
        self.appends: Counter[str] = Counter()
        self.conflicts = 0
        self.verdicts: Counter[str] = Counter()
        self.subscribers: Counter[str] = Counter()

    def text(self, gauges: Mapping[str, tuple[str, Mapping[Labels, float]]]) -> str:
        """Everything; `gauges` by name: what it is, and its values."""
        lines = [
            *_lines(
                "consent_requests_total",
                "counter",
                "requests answered",
                {
                    (("method", method), ("route", route), ("status", str(status))): count
                    for (method, route, status), count in sorted(self.requests.items())
                },
            ),
            *self.seconds.lines("consent_request_seconds", "from a request's head to the end of its answer"),
            *_lines("consent_appends_total", "counter", "events recorded", _by("event", self.appends)),
            *_lines("consent_conflicts_total", "counter", "appends decided again", {(): self.conflicts}),
            *_lines("consent_verdicts_total", "counter", "verdicts given", _by("reason", self.verdicts)),
            *_lines("consent_subscribers", "gauge", "subscribers connected", _by("projection", self.subscribers)),
        ]
        for name, (what, values) in gauges.items():
            lines += _lines(name, "gauge", what, values)
        return "\n".join(lines) + "\n"


class Histogram:
    """How many took at most so long, and how long all of them together."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def lines(self, name: str, what: str) -> Iterator[str]:
        yield f"# HELP {name} {what}"
        yield f"# TYPE {name} histogram"
        bounds = [*map(str, BUCKETS), "+Inf"]
        counts = list(itertools.accumulate(self._counts))
        for bound, count in zip(bounds, counts, strict=True):
            yield f'{name}_bucket{{le="{bound}"}} {count}'
        yield f"{name}_sum {self._sum}"
        yield f"{name}_count {counts[-1]}"


def _by(label: str, counts: Mapping[str, float]) -> dict[Labels, float]:
    return {((label, value),): count for value, count in sorted(counts.items())}


def _lines(name: str, kind: str, what: str, values: Mapping[Labels, float]) -> Iterable[str]:
    yield f"# HELP {name} {what}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        inside = ",".join(f'{label}="{text}"' for label, text in labels)
        yield f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"
