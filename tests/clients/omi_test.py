"""chassisml's OMIClient asks a server, and ends it."""

from __future__ import annotations

from pathlib import Path

from tests.clients.models import serving_doubled, told


def test_chassismls_client_asks_and_ends_the_server(tmp_path: Path) -> None:
    with serving_doubled(tmp_path) as server:
        assert told("OMI_CLIENT", server.port) == {
            "status": [200, "Tested", 8],
            "run": [200, True, [2.0, 4.0, 6.0]],
            "refused": [False, "input 'row' has 5 bytes, which are not FP32[3]"],
            "shutdown": 200,
        }
        assert server.wait_end() == 0
