"""Counters and histograms in Prometheus' text format.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

Labels = tuple[str, ...]


class Metric:
    """One named family of numbers, one number for each combination of label values."""

    kind = "untyped"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.text = text
        self.labels = tuple(labels)
        self._lock = Lock()

    def render(self) -> list[str]:
        """The lines of this family, its header first."""
        head = [f"# HELP {self.name} {self.text}", f"# TYPE {self.name} {self.kind}"]
        with self._lock:
            return head + self._samples()

    def _samples(self) -> list[str]:
        raise NotImplementedError

    def _line(self, values: Labels, number: float, suffix: str = "", extra: str = "") -> str:
        pairs = [
            f'{label}="{_escape(value)}"' for label, value in zip(self.labels, values, strict=True)
        ]
        if extra:
            pairs.append(extra)
        inside = "{" + ",".join(pairs) + "}" if pairs else ""
        return f"{self.name}{suffix}{inside} {number}"


class Counter(Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self._values: dict[Labels, int] = defaultdict(int)

    def add(self, *values: str, count: int = 1) -> None:
        """Count ``count`` more under these label values."""
        with self._lock:
            self._values[values] += count

    def _samples(self) -> list[str]:
        return [self._line(values, number) for values, number in sorted(self._values.items())]


class Gauge(Metric):
    """A number that goes up and down."""

    kind = "gauge"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self._values: dict[Labels, float] = {}

    def set(self, *values: str, to: float) -> None:
        """Set the number under these label values."""
        with self._lock:
            self._values[values] = to

    def _samples(self) -> list[str]:
        return [self._line(values, number) for values, number in sorted(self._values.items())]


class Histogram(Metric):
    """How many observations fell at or below each bound."""

    kind = "histogram"

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, bounds: Sequence[float]
    ) -> None:
        super().__init__(name, text, labels)
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = defaultdict(float)

    def observe(self, *values: str, of: float) -> None:
        """Count the observation ``of`` under these label values."""
        with self._lock:
            counts = self._counts.setdefault(values, [0] * (len(self._bounds) + 1))
            counts[bisect_left(self._bounds, of)] += 1
            self._sums[values] += of

    def _samples(self) -> list[str]:
        lines = []
        for values, counts in sorted(self._counts.items()):
            total = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                total += count
                name = "+Inf" if bound == float("inf") else f"{bound:g}"
                lines.append(self._line(values, total, "_bucket", f'le="{name}"'))
            lines.append(self._line(values, self._sums[values], "_sum"))
            lines.append(self._line(values, total, "_count"))
        return lines


class Metrics:
    """What the server counts. Labels only hold names that are served, never text from a request."""

    def __init__(self) -> None:
        self.requests = Counter(
            "nlplug_requests_total", "Requests by model and HTTP status.", ("model", "status")
        )
        self.errors = Counter("nlplug_errors_total", "Errors by their type.", ("error_type",))
        self.seconds = Histogram(
            "nlplug_request_seconds",
            "Seconds from the end of the request's head to its answer.",
            ("model",),
            bounds=_SECONDS,
        )
        self.batches = Histogram(
            "nlplug_batch_inputs", "Inputs answered in one batch.", ("model",), bounds=_SIZES
        )
        self.first_token = Histogram(
            "nlplug_first_token_seconds",
            "Seconds from a checked request to the first piece of its streamed answer.",
            ("model",),
            bounds=_SECONDS,
        )
        self.tokens = Counter(
            "nlplug_streamed_tokens_total", "Tokens decoded for streamed answers.", ("model",)
        )
        self.streams = Gauge(
            "nlplug_streams", "Streamed answers under way or waiting for their turn.", ("model",)
        )
        self.queue = Gauge("nlplug_queue_requests", "Requests that wait in the queue.", ("model",))
        self.loaded = Gauge("nlplug_model_loaded", "1 when the model is in memory.", ("model",))

    def render(self) -> str:
        """All metrics as text."""
        families: list[Metric] = [
            self.requests,
            self.errors,
            self.seconds,
            self.batches,
            self.first_token,
            self.tokens,
            self.streams,
            self.queue,
            self.loaded,
        ]
        return "\n".join(line for family in families for line in family.render()) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
