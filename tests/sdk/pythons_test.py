"""A model is packed with the Python that runs, and the service takes it with each that it has images of."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from chassis.declaration.pythons import GIVEN_PYTHONS, PYTHONS
from chassis.sdk.client import ChassisClient, ClientError
from tests.service.service_process import ServiceProcess


def _published(service: ServiceProcess, python: str) -> dict:
    client = os.environ["CLIENT_" + python.replace(".", "")]
    done = subprocess.run(
        [client, service.url, "Sums", "amd64"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("python", GIVEN_PYTHONS)
def test_a_model_of_each_given_python_is_taken_with_that(python: str, tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "state") as service:
        job = _published(service, python)
    assert job["status"]["state"] == "succeeded", job
    assert (tmp_path / "state" / "pythons").read_text().split() == [python]


def test_a_client_on_another_python_is_told_before_it_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (other, *_) = [version for version in PYTHONS if version not in GIVEN_PYTHONS]
    monkeypatch.setattr("chassis.sdk.client.running_python", lambda: other)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ServiceProcess(tmp_path / "state") as service:
        client = ChassisClient(service.url)
        try:
            with pytest.raises(ClientError) as caught:
                client.create_model(process_fn=len)
        finally:
            client.close()
    for said in (f"this is Python {other}", ", ".join(GIVEN_PYTHONS), "run this in a Python of one of these"):
        assert said in str(caught.value)
