"""Tests of fetch_wheel.py with the real pip, on a directory of wheels in place of an index."""

import hashlib
import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.declaration.wheel_target import marker_environment, platform_tags

METADATA = """Metadata-Version: 2.1
Name: {name}
Version: 1.0
Requires-Dist: always
Requires-Dist: only-arm ; platform_machine == "aarch64"
Requires-Dist: never ; python_version < "3.11" or sys_platform == "win32"
Provides-Extra: Big_Extra
Requires-Dist: for.extra[more] >= 2 ; extra == "Big_Extra"
"""


def wheel(
    directory: Path, name: str = "Tiny.Thing", tag: str = "py3-none-any", metadata: str = METADATA
) -> tuple[Path, str]:
    """Writes a wheel; returns its path and sha256."""
    distribution = name.replace(".", "_")
    path = directory / f"{distribution}-1.0-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{distribution}/__init__.py", "")
        if metadata:
            archive.writestr(f"{distribution}-1.0.dist-info/METADATA", metadata.format(name=name))
        archive.writestr(
            f"{distribution}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
        )
        archive.writestr(f"{distribution}-1.0.dist-info/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(
    index: Path,
    output: Path,
    digest: str,
    machine: str = "aarch64",
    requirement: str = "tiny-thing==1.0",
    environment: dict[str, str] | None = None,
    more: tuple[str, ...] = (),
    starter: tuple[str, ...] = (),
):
    output.mkdir()
    flags = [
        "--requirement",
        requirement,
        "--hash",
        digest,
        "--markers",
        json.dumps(marker_environment(machine, "3.11.2")),
        *(f"--platform={tag}" for tag in platform_tags(machine, 36)),
    ]
    return subprocess.run(
        [*starter, sys.executable, "-P", os.environ["FETCH_WHEEL"], *flags, *more, "--output", str(output)],
        env={
            **os.environ,
            "PYTHONPATH": os.environ["PIP"],
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(index),
            "PIP_CONFIG_FILE": os.devnull,
            "HOME": str(output),
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "index"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("machine", "always"),
    [("aarch64", [["always", []], ["only-arm", []]]), ("x86_64", [["always", []]])],
)
def test_metadata_names_what_the_target_needs(index, tmp_path, machine, always):
    path, digest = wheel(index)
    done = fetch(index, tmp_path / "out", digest, machine)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/metadata.json").read_text()) == {
        "file": path.name,
        "name": "tiny-thing",
        "requires": {"": always, "big-extra": [["for-extra", ["more"]]]},
        "size": path.stat().st_size,
        "version": "1.0",
    }
    assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_the_wheel_of_the_target_is_taken(index, tmp_path):
    wheel(index, tag="cp311-cp311-manylinux2014_x86_64")
    path, digest = wheel(index, tag="cp311-abi3-manylinux_2_28_aarch64")
    assert fetch(index, tmp_path / "out", digest).returncode == 0
    assert (tmp_path / "out" / path.name).is_file()


def test_a_release_past_an_upper_bound_of_requires_python_is_taken_since_the_lock_has_it(index, tmp_path):
    late = METADATA.replace("Requires-Dist", "Requires-Python: >=3.9,<3.11\nRequires-Dist", 1)
    path, digest = wheel(index, metadata=late)
    done = fetch(index, tmp_path / "out", digest)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / path.name).is_file()


@pytest.mark.parametrize(
    "tag", ["cp311-cp311-manylinux2014_x86_64", "cp312-cp312-any", "cp311-cp311-manylinux_2_38_aarch64"]
)
def test_a_wheel_for_something_else_is_no_wheel_for_the_target(index, tmp_path, tag):
    _, digest = wheel(index, tag=tag)
    done = fetch(index, tmp_path / "out", digest)
    assert done.returncode == 4
    assert "tiny-thing" in done.stderr


def test_other_bytes_than_the_locks_are_refused(index, tmp_path):
    wheel(index)
    done = fetch(index, tmp_path / "out", "0" * 64)
    assert done.returncode == 5
    assert "0" * 64 in done.stderr
    assert not list((tmp_path / "out").glob("*.whl"))


def test_a_wheel_with_broken_requirements_is_named(index, tmp_path):
    path, digest = wheel(index, metadata="Name: {name}\nVersion: 1.0\nRequires-Dist: what is this\n")
    done = fetch(index, tmp_path / "out", digest)
    assert done.returncode == 6
    assert path.name in done.stderr
    assert "Requires-Dist: what is this" in done.stderr


def test_a_wheel_without_metadata_is_broken(index, tmp_path):
    _, digest = wheel(index, metadata="")
    done = fetch(index, tmp_path / "out", digest)
    assert done.returncode == 6
    assert "tiny-thing==1.0" in done.stderr


def test_metadata_without_a_name_is_broken(index, tmp_path):
    path, _ = wheel(index, metadata="Version: 1.0\n")
    done = fetch(index, tmp_path / "out", "0" * 64, more=(f"--have={path}",))
    assert done.returncode == 6
    assert f"{path.name}: its metadata lacks Name or Version" in done.stderr


def test_a_file_that_is_no_zip_is_broken(index, tmp_path):
    (index / "tiny_thing-1.0-py3-none-any.whl").write_bytes(b"not a zip")
    done = fetch(index, tmp_path / "out", hashlib.sha256(b"not a zip").hexdigest())
    assert done.returncode == 6
    assert "tiny-thing==1.0" in done.stderr


def test_a_full_disk_is_said_to_be_full(index, tmp_path):
    _, digest = wheel(index, metadata=METADATA + "\n" + random.Random(0).randbytes(1 << 20).hex())
    namespaces = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*namespaces, "true"], capture_output=True).returncode:
        pytest.skip("no small disk can be made here: the kernel gives no mount namespace")
    small = ("sh", "-c", 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"', str(tmp_path / "out"))
    done = fetch(index, tmp_path / "out", digest, starter=(*namespaces, *small))
    assert done.returncode == 7, done.stderr
    assert "No space left on device" in done.stderr


# What people configure pip with for the sake of what they install by hand.
_DISTURBING = """[global]
require-virtualenv = true
constraint = {home}/constraints.txt
no-binary = :all:
platform = win32
python-version = 2.7
dest = {home}/elsewhere
[install]
user = true
[download]
require-virtualenv = true
"""


def test_what_pip_is_configured_with_for_installing_does_not_matter(index, tmp_path):
    path, digest = wheel(index)
    (tmp_path / "constraints.txt").write_text("tiny-thing==0.9\n")
    (tmp_path / "pip.conf").write_text(_DISTURBING.format(home=tmp_path))
    variables = {"PIP_REQUIRE_VIRTUALENV": "1", "PIP_TARGET": str(tmp_path), "PIP_CONSTRAINT": "/nowhere"}
    variables["PIP_CONFIG_FILE"] = str(tmp_path / "pip.conf")
    done = fetch(index, tmp_path / "out", digest, environment=variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / path.name).is_file()


def test_pips_files_say_where_files_are(index, tmp_path):
    path, digest = wheel(index)
    (tmp_path / "pip.conf").write_text(f"[global]\nno-index = true\nfind_links =\n    {tmp_path}/none\n    {index}\n")
    variables = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": "", "PIP_NO_INDEX": ""}
    done = fetch(index, tmp_path / "out", digest, environment=variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / path.name).is_file()


def test_a_hubs_own_index_takes_the_place_of_pips(index, tmp_path):
    path, digest = wheel(index)
    simple = tmp_path / "simple/tiny-thing"
    simple.mkdir(parents=True)
    (simple / "index.html").write_text(f'<a href="{path.as_uri()}">{path.name}</a>')
    variables = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/gone"}
    wanted = (f"--index-url={(tmp_path / 'simple').as_uri()}",)
    done = fetch(index, tmp_path / "out", digest, environment=variables, more=wanted)
    assert done.returncode == 0, done.stderr
    without = fetch(index, tmp_path / "again", digest, environment=variables)
    assert without.returncode == 4, without.stderr


def test_of_a_wheel_that_is_there_only_the_metadata_are_read(index, tmp_path):
    path, digest = wheel(index)
    variables = {"PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": str(tmp_path)}
    done = fetch(index, tmp_path / "out", digest, environment=variables, more=(f"--have={path}",))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/metadata.json").read_text())["file"] == path.name
    assert not list((tmp_path / "out").glob("*.whl"))
