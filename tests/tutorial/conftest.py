"""What the tests with a real Bazel share: a registry that asks for a password, and one build service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.publishing.registry_server import RegistryServer
from tests.tutorial.account import HTPASSWD
from tests.tutorial.build_service import BuildService


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(HTPASSWD)
    with RegistryServer(folder, auth={"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}) as server:
        yield server


@pytest.fixture(scope="session")
def service(registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildService]:
    with BuildService(tmp_path_factory.mktemp("service"), registry.address) as running:
        yield running
