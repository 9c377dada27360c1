"""Metrics of the server for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The longest wait that a server allows by default is 60 seconds; later answers are its timeouts.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_QUEUE = ("task", "model")


class Metrics:
    """The metrics of one app. Labels contain only served names, never text of a request."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "nlplug_requests",
            "Requests by model and HTTP status.",
            ("model", "status"),
            registry=registry,
        )
        self.errors = Counter(
            "nlplug_errors", "Errors by their type.", ("error_type",), registry=registry
        )
        self.seconds = Histogram(
            "nlplug_request_seconds",
            "Seconds from the end of the request's head to its answer.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batches = Histogram(
            "nlplug_batch_inputs",
            "Inputs answered in one batch.",
            _QUEUE,
            buckets=_SIZES,
            registry=registry,
        )
        self.first_token = Histogram(
            "nlplug_first_token_seconds",
            "Seconds from a checked request to the first piece of its streamed answer.",
            ("model",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.tokens = Counter(
            "nlplug_streamed_tokens",
            "Tokens decoded for streamed answers.",
            ("model",),
            registry=registry,
        )
        self.streams = Gauge(
            "nlplug_streams",
            "Streamed answers that are decoded or wait in the queue.",
            _QUEUE,
            registry=registry,
        )
        self.queue = Gauge(
            "nlplug_queue_requests", "Requests that wait in the queue.", _QUEUE, registry=registry
        )
        self.loaded = Gauge(
            "nlplug_model_loaded", "1 when the model is in memory.", _QUEUE, registry=registry
        )

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)
