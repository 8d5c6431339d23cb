"""The SDK's wheel, installed by a real pip into an environment of its own and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_SECONDS = 120

_USE = """
import chassis, chassisml, json, sys
assert chassisml.ChassisModel is chassis.ChassisModel

def process(content):
    return {"length": len(content)}

client = chassisml.ChassisClient("http://localhost:5000")
model = client.create_model(process_fn=process)
print(json.loads(model.test(b"four")[0]["results.json"]))
model.describe(model_name="Lengths", model_version="0.0.1")
print(model.save("package/lengths"))
print(sorted(name for name in sys.modules if name.startswith("chassis.service")))
try:
    chassisml.ChassisClient().create_model(process_fn=process).publish("Lengths", "0.0.1")
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def wheel() -> Path:
    return Path(os.environ["CHASSIS_WHEEL"])


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip installed the wheel; what it requires is that of this test, since there is no index here."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--target", str(site), str(wheel)],
        env={"PYTHONPATH": os.environ["PIP"], "HOME": str(site), "PATH": "/usr/bin:/bin"}
        | {name: os.environ[name] for name in ("PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "Successfully installed chassis-on-bazel-" in done.stdout
    return site


def test_it_holds_what_the_sdk_needs_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("/METADATA"))).decode()
    expected = {"chassis/__init__.py", "chassis/py.typed", "chassis/sdk/model.py", "chassis/sdk/client.py"}
    assert {*expected, "chassisml/__init__.py"} <= set(names)
    kept_out = (
        "chassis/tools/",
        "chassis/runtime/http/",
        "chassis/doctor/",
        "chassis/oci/layer/",
        "chassis/service/server",
    )
    assert [name for name in names if name.startswith(kept_out)] == []
    assert not [name for name in names if name.endswith("_test.py")]
    required = [line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-")]
    assert [text for text in required if "extra" not in text] == ["Requires-Python: >=3.10", "cloudpickle", "urllib3"]
    assert wheel.stat().st_size < 260_000


def test_the_same_sources_give_the_same_bytes(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        names = [info.filename for info in archive.infolist()]
    modules = [name for name in names if ".dist-info/" not in name]
    assert modules == sorted(modules)
    assert wheel.name == "chassis_on_bazel-0.1.0-py3-none-any.whl"


def test_it_is_used_without_this_repository(site: Path, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "MODULE.bazel").write_text("")
    (tmp_path / "use.py").write_text(_USE)
    required = [path for path in sys.path if "cloudpickle" in path or "urllib3" in path or "site-packages" in path]
    done = subprocess.run(
        [sys.executable, "-P", "-s", "use.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join([str(site), *required]), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        | {name: os.environ[name] for name in ("PYTHONHOME", "LD_LIBRARY_PATH") if name in os.environ},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "{'length': 4}"
    assert f"{tmp_path}/package/lengths" in lines
    assert (tmp_path / "package" / "lengths" / "BUILD.bazel").is_file()
    assert "[]" in lines
    assert "needs packaging" in lines[-1] or "no checkout of Chassis" in lines[-1] or "needs uv" in lines[-1]
