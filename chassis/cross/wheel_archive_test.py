"""Tests of wheel_archive.py."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from chassis.cross.target import cross_target
from chassis.cross.wheel_archive import defects, read_wheel, rewrite
from chassis.errors import ChassisError

_TARGET = cross_target("arm64", "2.28")


def _wheel(
    directory: Path, tag: str, date: tuple[int, ...] = (2020, 1, 1, 0, 0, 0), reverse: bool = False, mode: int = 0o644
) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / f"small-1.0-{tag}.whl"
    files = {
        "small.py": "answer = 42\n",
        "small-1.0.data/scripts/small": "#!python\n",
        "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        "small-1.0.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
        "small-1.0.dist-info/RECORD": "small.py,,\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files, reverse=reverse):
            info = zipfile.ZipInfo(name, date)
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, files[name])
    return path


def test_dates_order_modes_and_local_tags_make_no_difference(tmp_path: Path) -> None:
    one = _wheel(tmp_path / "a", "py3-none-linux_aarch64")
    other = _wheel(tmp_path / "b", "py3-none-linux_aarch64", (2024, 2, 2, 2, 2, 2), reverse=True, mode=0o755)
    for number, path in enumerate([one, other]):
        rewrite(read_wheel(path), _TARGET, tmp_path / f"{number}.whl")
    assert (tmp_path / "0.whl").read_bytes() == (tmp_path / "1.whl").read_bytes()
    with zipfile.ZipFile(tmp_path / "0.whl") as archive:
        assert archive.namelist()[-1] == "small-1.0.dist-info/RECORD"
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()}
        assert [name for name, mode in modes.items() if mode == 0o755] == ["small-1.0.data/scripts/small"]
        assert set(modes.values()) == {0o644, 0o755}
        assert b"Tag: py3-none-manylinux_2_28_aarch64\n" in archive.read("small-1.0.dist-info/WHEEL")


# The wheel's tag to what its defect says; None for a good one.
_TAGS = {
    "py3-none-any": None,
    "py3-none-linux_aarch64": "holds no compiled file",
    "py3-none-linux_x86_64": "its tag says linux_x86_64, and the target is manylinux_2_28_aarch64",
    "py3-none-manylinux_2_35_aarch64": "newer than the target's glibc 2.28",
    "py3-none-macosx_11_0_arm64": "macosx_11_0_arm64",
}


@pytest.mark.parametrize("tag", _TAGS)
def test_a_tag_is_checked_against_the_target(tag: str, tmp_path: Path) -> None:
    found = defects(read_wheel(_wheel(tmp_path, tag)), _TARGET, "small", "1.0")
    wanted = _TAGS[tag]
    assert not found if wanted is None else any(wanted in sentence for sentence in found), found


def test_another_distribution_or_version_is_a_defect(tmp_path: Path) -> None:
    wheel = read_wheel(_wheel(tmp_path, "py3-none-any"))
    assert defects(wheel, _TARGET, "Small", "") == []
    assert len(defects(wheel, _TARGET, "other", "2.0")) == 2


def test_what_is_no_wheel_is_named(tmp_path: Path) -> None:
    path = tmp_path / "small-1.0-py3-none-any.whl"
    path.write_text("no zip")
    with pytest.raises(ChassisError, match=r"small-1\.0-py3-none-any\.whl"):
        read_wheel(path)
