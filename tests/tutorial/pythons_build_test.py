"""The build service makes the image of a model that another Python packed, with that Python in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from chassis.image_test.case_file import read_cases
from chassis.image_test.image_check import Plan, check_image
from chassis.sandbox.ladder import Tools
from tests.publishing.registry_server import skopeo
from tests.tutorial.account import PASSWORD, USER
from tests.tutorial.build_service import BuildService

_CLIENT_SECONDS = 3000.0


@pytest.mark.parametrize("python", ["3.13", "3.14"])
def test_a_model_is_built_with_the_python_that_packed_it(service: BuildService, tmp_path: Path, python: str) -> None:
    done = subprocess.run(
        [os.environ["CLIENT_" + python.replace(".", "")], service.url, "Sums", "amd64", str(tmp_path)],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | {"REGISTRY_USER": USER, "REGISTRY_PASS": PASSWORD},
        text=True,
        timeout=_CLIENT_SECONDS,
    )
    assert done.returncode == 0
    job = json.loads(done.stdout)
    assert job["status"]["state"] == "succeeded", job["logs"] or job
    layout = tmp_path / "layout"
    skopeo(tmp_path, "copy", f"oci-archive:{tmp_path}/image.tar", f"oci:{layout}:0.0.1")
    case = tmp_path / "case.json"
    case.write_text(json.dumps({"input": "1234", "output": {"python": python, "size": 4}}))
    tools = Tools(Path(os.environ["BWRAP"]), Path(os.environ["PROOT"]))
    outcome = check_image(Plan(layout=layout, tools=tools, cases=read_cases(case)), tmp_path, print)
    assert {result.name: result.failure for result in outcome.results} == {"case": "", "Shutdown": ""}
