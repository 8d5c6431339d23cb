"""What the tests of pushing share: a registry, and a proxy in front of it that does harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.publishing.fault_proxy import FaultProxy
from tests.publishing.registry_server import RegistryServer


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    with RegistryServer(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def proxy(registry: RegistryServer) -> Iterator[FaultProxy]:
    with FaultProxy(registry.address) as server:
        yield server
