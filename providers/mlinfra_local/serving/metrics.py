"""What a serving process counts, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mlinfra_local.serving.config import VariantConfig

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Per variant: requests, errors (status 400 and above), seconds; also the weights in force and shadow copies dropped."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        labels = ("variant", "shadow")
        self._requests = Counter("mlinfra_requests", "Requests answered", (*labels, "status"), registry=self._registry)
        self._errors = Counter("mlinfra_errors", "Requests answered with an error", labels, registry=self._registry)
        self._seconds = Histogram("mlinfra_latency_seconds", "Time to answer", labels, buckets=_BUCKETS, registry=self._registry)
        self._flying = Gauge("mlinfra_requests_in_flight", "Requests being answered", ("variant",), registry=self._registry)
        self._weight = Gauge("mlinfra_variant_weight", "Share of the traffic", labels, registry=self._registry)
        self._dropped = Counter(
            "mlinfra_shadow_dropped", "Shadow copies left out under load", ("variant",), registry=self._registry
        )
        self._reloads = Counter("mlinfra_reloads", "Changes of what is served", ("outcome",), registry=self._registry)

    def answered(self, variant: str, shadow: bool, status: int, seconds: float) -> None:
        labels = (variant, str(shadow).lower())
        self._requests.labels(*labels, str(status)).inc()
        self._seconds.labels(*labels).observe(seconds)
        if status >= 400:
            self._errors.labels(*labels).inc()

    def begun(self, variant: str) -> None:
        self._flying.labels(variant).inc()

    def ended(self, variant: str) -> None:
        self._flying.labels(variant).dec()

    def dropped(self, variant: str) -> None:
        self._dropped.labels(variant).inc()

    def reloaded(self, outcome: str) -> None:
        self._reloads.labels(outcome).inc()

    def serving(self, variants: Mapping[str, VariantConfig]) -> None:
        """These variants are in force; each shows up with zeros before its first request."""
        self._weight.clear()
        for name, variant in variants.items():
            labels = (name, str(variant.shadow).lower())
            self._weight.labels(*labels).set(variant.traffic)
            self._errors.labels(*labels)
            self._seconds.labels(*labels)

    def text(self) -> bytes:
        return generate_latest(self._registry)
