"""README and guides show the repository's own files, platforms and case files that the runner takes."""

import json
import os
import re
from pathlib import Path

import pytest

from chassis.image_test.case_file import read_cases


def text(name):
    return Path(os.environ[name]).read_text()


def blocks(document, language):
    return re.findall(rf"```{language}\n(.*?)```", text(document), re.DOTALL)


def test_readme_shows_the_models_own_build_file():
    shown = [block for block in blocks("README", "starlark") if "chassis_model(" in block]
    assert len(shown) == 1
    for rule in shown[0].strip().split("\n\n"):
        assert rule in text("MODEL_BUILD")


def test_readme_shows_the_predict_functions_own_signature():
    (signature,) = blocks("README", "python")
    assert signature.strip() in text("MODEL")


def test_readme_lists_every_platform():
    listed = set(re.findall(r"^\| `//platforms:(\w+)`", text("README"), re.MULTILINE))
    declared = set(re.findall(r'^platform\(\n    name = "(\w+)"', text("PLATFORMS_BUILD"), re.MULTILINE))
    assert listed == declared
    assert len(declared) >= 6


@pytest.mark.parametrize("number", range(3))
def test_case_files_of_the_guide_are_ones(number, tmp_path):
    shown = blocks("TESTING", "json")
    assert len(shown) == 3
    case = tmp_path / "case.json"
    case.write_text(json.dumps(json.loads(shown[number])))
    assert len(read_cases(case)) == 1


def test_readme_lists_every_page():
    root = Path(os.environ["README"]).parent
    pages = {path.relative_to(root).as_posix() for path in (root / "docs").rglob("*.md")} | {"CONTRIBUTING.md"}
    listed = set(re.findall(r"\]\(([-\w./]+\.md)\)", text("README").partition("## Read on")[2]))
    assert pages <= listed
    assert len(pages) > 15


def test_no_page_installs_what_is_somebody_elses_on_the_index():
    root = Path(os.environ["README"]).parent
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]
    commands = [line for page in pages for line in re.findall(r"\bpip3? install\b([^\n`]*)", page.read_text())]
    arguments = [argument.strip("'\"") for line in commands for argument in line.split()]
    assert not [argument for argument in arguments if re.fullmatch(r"chassis(ml)?([\[=<>~!;].*)?", argument)]
    assert any("/chassis_on_bazel" in argument for argument in arguments)


def test_readme_says_where_chassis_comes_from():
    own = text("README").partition("## In a workspace of your own")[2].partition("\n## ")[0]
    for words in (
        "archive_override(",
        "git_override(",
        "module_registry.py",
        "source.json",
        "metadata.json",
        "WORKSPACE",
    ):
        assert words in own
    assert "rules_python" in own and "--noenable_bzlmod" in own and "--enable_workspace" in own


def test_the_guide_to_serving_lists_every_setting():
    docs = Path(os.environ["TESTING"]).parent
    settings = set(re.findall(r"^\| `([A-Z_]+)`", (docs / "reference/settings.md").read_text(), re.MULTILINE))
    # The image itself sets these two.
    settings -= {"CHASSIS_MODEL_DIR", "CHASSIS_SERVER_PATH"}
    assert len(settings) > 25
    assert settings <= set(re.findall(r"`([A-Z][A-Z_]+)`", (docs / "serving.md").read_text()))
