"""Tests of modules that are late."""

from __future__ import annotations

import subprocess
import sys

import pytest

_IMPORTS = """
import sys
from chassis.runtime import late_imports
late_imports.allow()
from chassis.runtime import front_ends, lifecycle, omi
from chassis.runtime.http import front_end
from chassis.runtime.inference import grpc_front_end
from chassis.runtime.rpc import server
from chassis.runtime.workers import pool
"""


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-P", "-c", _IMPORTS + code], text=True, capture_output=True, check=True
    ).stdout


@pytest.mark.parametrize("module", ["grpc.aio._server", "google.protobuf.text_format", "numpy", "pathlib"])
def test_the_server_does_without_them(module: str) -> None:
    assert run(f"print({module!r} in sys.modules)") == "False\n"


def test_who_uses_them_has_them() -> None:
    code = """
import grpc
print(grpc.aio.insecure_channel.__module__)
from google.protobuf import text_format
print(text_format.MessageToString(omi.omi_pb2.ModelInfo(source="a")), end="")
"""
    assert run(code) == 'grpc.aio._channel\nsource: "a"\n'
