"""What the server counts, in Prometheus' text format (version 0.0.4).

All belongs to the event loop's thread: nothing is locked.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from chassis.runtime.core.answer import Answer, ErrorKind
from chassis.runtime.core.exposition import (
    Labels,
    family,
    gpu_metrics,
    process_metrics,
    resident_bytes,
    sample,
)
from chassis.runtime.core.statistics import Statistics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_SUCCEEDED = ("OK", "200")


class Histogram:
    """Observations counted in buckets."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Takes the buckets' upper bounds, in ascending order."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Counts `value`."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def total(self) -> float:
        """The sum of all observations."""
        return self._sum

    def samples(self, name: str, labels: Labels = ()) -> Iterator[str]:
        """Its lines."""
        total = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            yield sample(f"{name}_bucket", (*labels, ("le", "+Inf" if bound == float("inf") else f"{bound:g}")), total)
        yield sample(f"{name}_sum", labels, self._sum)
        yield sample(f"{name}_count", labels, total)


class Metrics:
    """The counts of one server.

    Attributes:
      batch_size: items of each call of the model.
      model_seconds: how long each call took.
      queue_seconds: how long each item waited for its call.
      workers: of a model in processes of its own, their number to process id, 0 for none now.
      in_flight: requests that wait for the model's answer, or for the model.
      identity: labels of what is served, such as its name.
      statistics: the same, as the statistics extension of the Open Inference Protocol has it.
      worker_restarts: how many of them ended and were started again.
    """

    def __init__(self) -> None:
        self.batch_size = Histogram(_ITEMS)
        self.model_seconds = Histogram(_SECONDS)
        self.queue_seconds = Histogram(_SECONDS)
        self.workers: dict[int, int] = {}
        self.in_flight = 0
        self.worker_restarts = 0
        self.statistics = Statistics()
        self.identity: Labels = ()
        self._requests: dict[tuple[str, str], int] = {}
        self._request_seconds: dict[str, Histogram] = {}
        self._answered = 0
        self._failed = dict.fromkeys(ErrorKind, 0)

    def count_items(self, answers: Sequence[Answer]) -> None:
        """Counts items and their errors."""
        self._answered += len(answers)
        failed = 0
        for answer in answers:
            if answer.kind is not None:
                self._failed[answer.kind] += 1
                failed += 1
        self.statistics.count_items(len(answers) - failed)

    def count_request(self, protocol: str, code: str, seconds: float) -> None:
        """Counts a request to the model through the front end `protocol`, answered with its protocol's `code`."""
        key = (protocol, code)
        self._requests[key] = self._requests.get(key, 0) + 1
        histogram = self._request_seconds.get(protocol)
        if histogram is None:
            histogram = self._request_seconds[protocol] = Histogram(_SECONDS)
        histogram.observe(seconds)
        self.statistics.count_request(succeeded=code in _SUCCEEDED, seconds=seconds)

    def text(self, *, waiting: int, ready: bool, busy: float = 0.0) -> str:
        """All of it, with how many items wait now, whether the model is ready and how long its present calls last."""
        lines: list[str] = []
        lines += family(
            "chassis_model_info",
            "gauge",
            "What is served: 1, with its names.",
            [sample("chassis_model_info", self.identity, 1)],
        )
        lines += family(
            "chassis_requests_in_flight",
            "gauge",
            "Requests that wait for the model.",
            [sample("chassis_requests_in_flight", (), self.in_flight)],
        )
        lines += family(
            "chassis_model_busy_seconds_total",
            "counter",
            "Seconds that the model was at calls, its processes together; the rate by chassis_workers is the share.",
            [sample("chassis_model_busy_seconds_total", (), self.model_seconds.total + busy)],
        )
        lines += family(
            "chassis_workers",
            "gauge",
            "Processes of the model that there are now; a thread of the server counts as one.",
            [sample("chassis_workers", (), sum(map(bool, self.workers.values())) if self.workers else 1)],
        )
        lines += family("chassis_ready", "gauge", "1 if the model answers.", [sample("chassis_ready", (), ready)])
        lines += family(
            "chassis_queue_items",
            "gauge",
            "Items that wait for the model.",
            [sample("chassis_queue_items", (), waiting)],
        )
        lines += family(
            "chassis_requests_total",
            "counter",
            "Requests to the model by front end and code of the answer.",
            [
                sample("chassis_requests_total", (("protocol", protocol), ("code", code)), count)
                for (protocol, code), count in sorted(self._requests.items())
            ],
        )
        lines += family(
            "chassis_items_total",
            "counter",
            "Items answered, failed ones among them.",
            [sample("chassis_items_total", (), self._answered)],
        )
        lines += family(
            "chassis_item_errors_total",
            "counter",
            "Items that failed, by kind.",
            [sample("chassis_item_errors_total", (("kind", kind.value),), n) for kind, n in self._failed.items()],
        )
        request_samples = [
            line
            for protocol, histogram in sorted(self._request_seconds.items())
            for line in histogram.samples("chassis_request_seconds", (("protocol", protocol),))
        ]
        for name, text, samples in (
            ("chassis_batch_items", "Items in each call of the model.", self.batch_size.samples("chassis_batch_items")),
            ("chassis_model_seconds", "Time of each call.", self.model_seconds.samples("chassis_model_seconds")),
            ("chassis_queue_seconds", "Wait of each item.", self.queue_seconds.samples("chassis_queue_seconds")),
            ("chassis_request_seconds", "Time of each request, by front end.", request_samples),
        ):
            lines += family(name, "histogram", text, samples)
        lines += process_metrics()
        lines += gpu_metrics()
        if self.workers:
            lines += self._of_workers()
        return "\n".join(lines) + "\n"

    def _of_workers(self) -> Iterator[str]:
        restarts, memory = "chassis_worker_restarts_total", "chassis_worker_resident_memory_bytes"
        yield from family(
            restarts,
            "counter",
            "Processes of the model that ended and were started again.",
            [sample(restarts, (), self.worker_restarts)],
        )
        samples = [
            sample(memory, (("worker", str(number)),), resident_bytes(str(pid)) if pid else 0)
            for number, pid in sorted(self.workers.items())
        ]
        yield from family(memory, "gauge", "Memory of each process of the model, 0 if there is none now.", samples)
