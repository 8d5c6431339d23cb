"""Tags from files and from the workspace's status."""

from pathlib import Path

import pytest

from chassis.oci.registry.errors import ImageReferenceError
from chassis.oci.tag_list import TagFileError, read_status, read_tags, stamp

STATUS = {"STABLE_VERSION": "1.2.0+build 7", "BUILD_TIMESTAMP": "1700000000", "EMPTY": ""}


def test_a_file_of_tags_has_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "tags").write_text("\nv1\n  latest \n")
    assert read_tags(tmp_path / "tags") == ["v1", "latest"]


@pytest.mark.parametrize(("text", "error"), [("\n", TagFileError), ("v1\nno tag\n", ImageReferenceError)])
def test_a_file_without_tags_is_refused(tmp_path: Path, text: str, error: type) -> None:
    (tmp_path / "tags").write_text(text)
    with pytest.raises(error):
        read_tags(tmp_path / "tags")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TagFileError, match="nothing: cannot be read"):
        read_tags(tmp_path / "nothing")


def test_status_files_are_joined(tmp_path: Path) -> None:
    (tmp_path / "stable").write_text("STABLE_A one two\nB 1\n")
    (tmp_path / "volatile").write_text("B 2\nC\n")
    assert read_status([tmp_path / "stable", tmp_path / "volatile"]) == {"STABLE_A": "one two", "B": "2", "C": ""}


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("v{STABLE_VERSION}", "v1.2.0-build-7"),
        ("plain", "plain"),
        ("{BUILD_TIMESTAMP}-{BUILD_TIMESTAMP}", "1700000000-1700000000"),
    ],
)
def test_a_template_is_filled_in(template: str, tag: str) -> None:
    assert stamp(template, STATUS) == tag


@pytest.mark.parametrize("template", ["{MISSING}", "{EMPTY}"])
def test_a_key_that_the_status_lacks_is_named(template: str) -> None:
    with pytest.raises(TagFileError, match=r"has no (MISSING|EMPTY); it has: BUILD_TIMESTAMP"):
        stamp(template, STATUS)


def test_a_template_that_makes_no_tag_is_refused() -> None:
    with pytest.raises(ImageReferenceError):
        stamp("-{STABLE_VERSION}", STATUS)
