"""Requirements: read, refused, merged; and detected in what is installed here."""

import importlib
import importlib.metadata
import sys
import types

import pytest

from chassis.packed_model.requirements import RequirementError, detect, merge, parse


def test_requirements_are_read():
    table = {
        "numpy": ("numpy", "numpy"),
        "numpy==2.4.6": ("numpy", "numpy==2.4.6"),
        "Scikit_Learn >= 1.5, < 2": ("scikit-learn", "Scikit_Learn >= 1.5, < 2"),
        "ray[serve,tune]~=2.1  # why": ("ray", "ray[serve,tune]~=2.1"),
        "ruamel.yaml!=0.17.*": ("ruamel-yaml", "ruamel.yaml!=0.17.*"),
    }
    for line, expected in table.items():
        assert parse(line) == expected, line


def test_what_cannot_be_locked_is_refused_with_its_reason():
    table = {
        "-r other.txt": "options have no place",
        "--index-url=x": "options have no place",
        "numpy @ file:///tmp/x.whl": "a URL or a path",
        "./local": "a URL or a path",
        "numpy; python_version<'3.12'": "leave the marker out",
        "numpy==": "is not a requirement",
        "num py": "is not a requirement",
        'numpy"\nfoo': "is not a requirement",
        "nümpy": "is not a requirement",
        "n" * 600: "600 characters",
    }
    for line, message in table.items():
        with pytest.raises(RequirementError, match=message):
            parse(line)


def test_what_was_given_goes_before_what_was_detected():
    assert merge(["NumPy<3", "# a comment", ""], ["numpy==2.4.6", "absl-py==2.5.1"]) == ["absl-py==2.5.1", "NumPy<3"]


def test_two_requirements_for_one_distribution_conflict():
    with pytest.raises(RequirementError, match="'numpy==1' and 'numpy==2' are both for numpy"):
        merge(["numpy==1", "numpy==2"], [])
    assert merge(["numpy==1", "numpy==1"], []) == ["numpy==1"]


def test_modules_are_pinned_at_what_is_installed():
    found = detect(["numpy._core.numeric", "json", "builtins", "chassis.data", "cloudpickle.cloudpickle", "chassis"])
    assert found.pins == (f"numpy=={importlib.metadata.version('numpy')}",)
    assert found.describe() == f"{found.pins[0]}  # numpy"
    assert (found.local, found.missing) == ((), ())


def test_modules_of_a_namespace_are_told_apart(tmp_path, monkeypatch):
    for name, file in (("shared-a", "shared/a/__init__.py"), ("shared-b", "shared/b.py")):
        metadata = tmp_path / f"{name.replace('-', '_')}-1.0+local.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0+local\n")
        (metadata / "RECORD").write_text(f"{file},,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert detect(["shared.a.deep.module"]).pins == ("shared-a==1.0",)
    assert detect(["shared.b"]).pins == ("shared-b==1.0",)
    assert detect(["shared"]).pins == ("shared-a==1.0", "shared-b==1.0")


def test_a_name_that_a_distribution_uses_too_is_still_a_module_of_ones_own(tmp_path, monkeypatch):
    metadata = tmp_path / "site" / "careless-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: careless\nVersion: 1.0\n")
    (metadata / "RECORD").write_text("own_words/__init__.py,,\n")
    (tmp_path / "own_words.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path)
    assert detect(["own_words"]).pins == ("careless==1.0",)
    importlib.import_module("own_words")
    assert (detect(["own_words"]).pins, detect(["own_words"]).local) == ((), ("own_words",))


def test_a_module_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "of_the_notebook", types.ModuleType("of_the_notebook"))
    found = detect(["cupy.cuda", "of_the_notebook"])
    assert found.missing == ("cupy.cuda",)
    assert found.local == ("of_the_notebook",)
    assert "cupy.cuda: imported by the function, not installed here" in found.describe()
