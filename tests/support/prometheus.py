"""Scrapes and parses the service's metrics with the Prometheus client library."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import Service


class Metrics:
    """All samples of one scrape."""

    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))

    @classmethod
    def of(cls, service: Service) -> Metrics:
        """Scrape a running service."""
        reply = service.call("GET", "/metrics")
        assert reply.status == 200
        return cls(reply.body.decode())

    def samples(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """Yield labels and value of each sample with this name and at least these labels."""
        for family in self._families:
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    yield sample.labels, sample.value

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels, or 0 if there are none."""
        return sum(value for _, value in self.samples(name, **labels))

    def labels(self, name: str, label: str) -> set[str]:
        """Return all values of a label in the samples with this name."""
        return {labels[label] for labels, _ in self.samples(name)}

    def names(self) -> dict[str, set[str]]:
        """Return the label names that occur with each sample name."""
        found: dict[str, set[str]] = {}
        for family in self._families:
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        return found
