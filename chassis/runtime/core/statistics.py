"""What the model has done since the server started, counted as Triton's statistics extension has it.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from __future__ import annotations

import time


class Duration:
    """How often something was done, and how long that took in all.

    Attributes:
      count: how often.
      ns: nanoseconds.
    """

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, seconds: float, times: int = 1) -> None:
        """Counts so many more, which took `seconds` together."""
        self.count += times
        self.ns += int(seconds * 1e9)

    def document(self) -> dict[str, int]:
        """As JSON has it."""
        return {"count": self.count, "ns": self.ns}


class Statistics:
    """The counts of one model; all belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._success = Duration()
        self._fail = Duration()
        self._queue = Duration()
        self._infer = Duration()
        self._batches: dict[int, Duration] = {}
        self._inferences = 0
        self._executions = 0
        self._last = 0

    def count_request(self, *, succeeded: bool, seconds: float) -> None:
        """Counts a request over any front end, and its `seconds` in the server."""
        (self._success if succeeded else self._fail).add(seconds)

    def count_items(self, count: int) -> None:
        """Counts items with an output."""
        self._inferences += count

    def count_call(self, items: int, seconds: float, requests: int, waited: float) -> None:
        """Counts a call of the model with `items`, which took `seconds`.

        They are of so many `requests`, which had waited for it so many seconds together.
        """
        self._executions += 1
        self._last = int(time.time() * 1000)
        batch = self._batches.get(items)
        if batch is None:
            batch = self._batches[items] = Duration()
        batch.add(seconds)
        self._queue.add(waited, requests)
        self._infer.add(seconds * requests, requests)

    def document(self) -> dict[str, object]:
        """As JSON has it, without the model's name.

        To read a request and to write its answer is in `success` and `fail` alone. Between the server and the model
        nothing is converted: `compute_input` and `compute_output` are as often as `compute_infer`, and take no time.
        """
        batches = sorted(self._batches.items())
        return {
            "last_inference": self._last,
            "inference_count": self._inferences,
            "execution_count": self._executions,
            "inference_stats": {
                "success": self._success.document(),
                "fail": self._fail.document(),
                "queue": self._queue.document(),
                "compute_input": {"count": self._infer.count, "ns": 0},
                "compute_infer": self._infer.document(),
                "compute_output": {"count": self._infer.count, "ns": 0},
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    "compute_input": {"count": called.count, "ns": 0},
                    "compute_infer": called.document(),
                    "compute_output": {"count": called.count, "ns": 0},
                }
                for size, called in batches
            ],
        }
