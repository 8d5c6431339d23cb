"""A fixture of tests that hold wherever the model runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module", params=["0", "1"], ids=["thread", "process"])
def workers(request: pytest.FixtureRequest) -> Iterator[str]:
    """The model in a thread of the server, and in a process of its own: all is the same to callers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHASSIS_WORKERS", request.param)
        yield request.param
