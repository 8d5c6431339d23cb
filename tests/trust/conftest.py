"""A pair of keys as cosign makes them, and registries with and without the referrers API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publishing.registry_server import RegistryServer
from tests.trust.referrers_registry import ReferrersRegistry
from tests.trust.signing_tools import keys


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module", params=["docker", "referrers"])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("registry")
    with RegistryServer(folder) if request.param == "docker" else ReferrersRegistry() as server:
        yield server.address


@pytest.fixture
def memory() -> Iterator[ReferrersRegistry]:
    with ReferrersRegistry() as server:
        yield server
