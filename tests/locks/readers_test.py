"""The readers of rules/private/locks against the libraries whose rules they follow: packaging and tomllib."""

from __future__ import annotations

import itertools
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import InvalidMarker, Marker, UndefinedComparison
from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from chassis.declaration.wheel_target import marker_environment, platform_tags
from chassis.locking.target import LockTarget
from tests.locks.starlark_module import load

AMD64 = LockTarget("x86_64", (3, 11), 36)
ARM64 = LockTarget("aarch64", (3, 11), 36)

_READERS = Path(os.environ["LOCK_READERS"]).parent
_LOCK_TARGET = load(_READERS / "lock_target.bzl")
_MARKERS = load(_READERS / "python_markers.bzl").python_markers
_NAME = load(_READERS / "python_name.bzl")
_TOML = load(_READERS / "toml.bzl")
_VERSION = load(_READERS / "python_version.bzl").python_version
_WHEEL_NAME = load(_READERS / "wheel_name.bzl").wheel_name

_VERSIONS = [
    "0",
    "0.0",
    "1",
    "1.0",
    "1.0.0",
    "1.1",
    "1.9",
    "1.10",
    "2.0",
    "1!1.0",
    "v1.0",
    "1.0a1",
    "1.0.alpha",
    "1.0_b_2",
    "1.0b2",
    "1.0c1",
    "1.0rc1",
    "1.0.dev1",
    "1.0a1.dev2",
    "1.0.post1",
    "1.0-1",
    "1.0-rev2",
    "1.0.post",
    "1.0.post1.dev1",
    "1.0a1.post2",
    "1.0+cpu",
    "1.0+cu130",
    "1.0+1",
    "1.0+cu.1",
    "3.11",
    "3.11.2",
    "1.2.3rc.",
    "2026.10.19.post1",
]
_NOT_VERSIONS = ["junk", "1.0+", "1..0", "", "1.0.dev1.post1", "1.0 1", "1.0+a..b", "!1"]
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "~=")


def test_versions_are_ordered_as_packaging_orders_them() -> None:
    keys = {text: _VERSION.key(_VERSION.parse(text)) for text in _VERSIONS}
    for one, other in itertools.product(_VERSIONS, _VERSIONS):
        assert (keys[one] < keys[other]) == (Version(one) < Version(other)), (one, other)
        assert (keys[one] == keys[other]) == (Version(one) == Version(other)), (one, other)


@pytest.mark.parametrize("text", _NOT_VERSIONS)
def test_what_packaging_refuses_is_not_a_version(text: str) -> None:
    with pytest.raises(InvalidVersion):
        Version(text)
    assert _VERSION.parse(text) is None


def _contains(version: str, clause: str) -> bool | None:
    try:
        return Specifier(clause).contains(version, prereleases=True)
    except InvalidSpecifier:
        return None


def test_specifiers_hold_as_packaging_says() -> None:
    wanted = [version + suffix for version in _VERSIONS for suffix in ("", ".*")]
    compared = 0
    for version, operator, other in itertools.product(_VERSIONS, _OPERATORS, wanted):
        expected = _contains(version, operator + other)
        assert _VERSION.matches(version, operator, other) == expected, (version, operator, other)
        compared += expected is not None
    assert compared > 5000


_VARIABLES = [
    "python_version",
    "python_full_version",
    "sys_platform",
    "platform_machine",
    "os_name",
    "implementation_name",
    "platform_system",
    "implementation_version",
    "platform_python_implementation",
    "os.name",
    "sys.platform",
]
_VALUES = [
    *[
        "3.11",
        "3.9",
        "3.12",
        "3.11.2",
        "3.11.*",
        "3.*",
        "linux",
        "win32",
        "x86_64",
        "aarch64",
        "posix",
        "cpython",
        "Linux",
        "CPython",
        "1.0a1",
    ],
    "arm64 aarch64",
    "3.10 3.11",
]
_EXTRAS = ("fast", "Big_Extra", "big.extra", "other")


@st.composite
def _comparison(draw: st.DrawFn) -> str:
    quote = draw(st.sampled_from("'\""))
    if draw(st.integers(0, 4)) == 0:
        name = f"{quote}{draw(st.sampled_from(_EXTRAS))}{quote}"
        sides = ["extra", draw(st.sampled_from(("==", "!="))), name]
    else:
        operators = [*_OPERATORS, "in", "not in"]
        value = f"{quote}{draw(st.sampled_from(_VALUES))}{quote}"
        sides = [draw(st.sampled_from(_VARIABLES)), draw(st.sampled_from(operators)), value]
    if draw(st.booleans()):
        sides.reverse()
    return draw(st.sampled_from((" ", "  "))).join(sides)


_MARKER = st.recursive(
    _comparison(),
    lambda inner: st.builds(
        lambda left, word, right, one, two: f"{f'({left})' if one else left} {word} {f'({right})' if two else right}",
        inner,
        st.sampled_from(("and", "or")),
        inner,
        st.booleans(),
        st.booleans(),
    ),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None)
@given(_MARKER, st.sampled_from(("", "fast", "big-extra")), st.sampled_from(sorted(_LOCK_TARGET.LOCK_PLATFORMS)))
def test_markers_hold_as_packaging_says(text: str, extra: str, platform: str) -> None:
    environment = _LOCK_TARGET.lock_target(platform).environment([extra] if extra else [])
    plain = {name: value for name, value in environment.items() if isinstance(value, str)}
    found = _MARKERS.evaluate(text, environment)
    try:
        expected = Marker(text).evaluate({**plain, "extra": extra})
    except (InvalidMarker, UndefinedComparison):
        # packaging reads every part of a marker, whether it decides or not.
        assert isinstance(found, str), text
    else:
        assert found is expected, text


@settings(max_examples=200, deadline=None)
@given(st.sets(st.sampled_from(_EXTRAS)), st.sets(st.sampled_from(_EXTRAS)), st.sampled_from(_EXTRAS))
def test_markers_of_lock_files_hold_as_packaging_says(extras: set[str], groups: set[str], name: str) -> None:
    environment = _LOCK_TARGET.lock_target("linux_arm64_py311").environment(sorted(extras), sorted(groups))
    asked = {"extras": extras, "dependency_groups": groups}
    for text in (f"'{name}' in extras", f"'{name}' not in dependency_groups or os_name == 'nt'"):
        assert _MARKERS.evaluate(text, environment) is Marker(text).evaluate(asked, context="lock_file"), text


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aB1-_.", min_size=1))
def test_names_are_normalised_as_packaging_does(name: str) -> None:
    assert _NAME.normalize_name(name) == canonicalize_name(name)


@pytest.mark.parametrize("variant", sorted(_LOCK_TARGET.LOCK_VARIANTS))
def test_a_lock_is_read_for_what_the_image_is_examined_for(variant: str) -> None:
    target = _LOCK_TARGET.lock_target(variant)
    assert target.markers == marker_environment(target.machine, target.python)
    assert target.platform_tags == platform_tags(target.machine, int(target.glibc.partition(".")[2]))


@pytest.mark.parametrize(("platform", "target"), [("linux_amd64_py311", AMD64), ("linux_arm64_py311", ARM64)])
def test_tags_are_ranked_as_the_locks_that_uv_resolves(platform: str, target) -> None:
    ranks = _LOCK_TARGET.lock_target(platform).tag_ranks
    assert sorted(ranks, key=ranks.get) == [str(tag) for tag in target.tags()]


# Where Starlark gives the text of what tomllib makes floats and dates of.
_TEXT = object()


def _expected(value: object) -> object:
    if isinstance(value, dict):
        return {key: _expected(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_expected(item) for item in value]
    return value if isinstance(value, (str, bool, int)) else _TEXT


def _same(found: object, wanted: object) -> bool:
    if wanted is _TEXT:
        return isinstance(found, str)
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = found.keys() - {_TOML.TOML_LINE}
        return keys == wanted.keys() and all(_same(found[key], wanted[key]) for key in keys)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return type(found) is type(wanted) and found == wanted


_DOCUMENTS = [
    'a = "x\\ty\\u00e9\\U0001F600"\n"a.b".c = \'\\\'\n',
    "a.b.c = 1\na.b.d = 2\na . e = 3\n1.2 = 3",
    'a = """\nx\ny"""\nb = """x\\\n   y"""\nc = """a"b""c"""\nd = """x""""\n',
    "a = '''\nx\\n'y'''\nb=1\nc = ''''x'''",
    'a = [1, [2, 3], {x = 1, y.z = "q"}, ]\nb = []\nc = {}\nd = [\n{ x = 1 }, # one\n\n{ x = 2 }\n]',
    "[a.b]\nc = true\n[a]\nd = false\n[e.'f g']\n",
    "[[p]]\nx=1\n[p.q]\ny=2\n[[p]]\nx=2\n[[p.r]]\nz=1\n[[p.r]]",
    "a = 0x1F\nb = 1_000\nc = -5\nd=+3\ne = 0o17\nf=0b101",
    "a = 1.5e3\nb = inf\nc = 2020-01-01 10:00:00\nd = 10:00:00\ne=2020-01-01\nf = 2026-11-01T11:20:07.5Z",
    'a = ["#", # c\n "b", # d\n]\r\nb = "x" # c\r\n',
    "",
    "# only",
    'a = "\\""\nb = "\\\\"',
]
_NOT_DOCUMENTS = [
    'a = "unclosed',
    'a = """unclosed',
    "a = ",
    "= 1",
    "a",
    "a = 1 b = 2",
    "a = 1\na = 2",
    "a = {b = 1, b = 2}",
    "[a\nb=1",
    "[]",
    "a = [1 2]",
    "a = {x = 1",
    'a = "\\q"',
    'a = "\\u12"',
    "a = truex",
    "a = 0xZZ",
    "a = 1\n[a.b]",
    "[a]\n[[a]]",
    "a = [1]\n[a.b]\n",
    "a!b = 1",
]


@pytest.mark.parametrize("text", _DOCUMENTS)
def test_toml_is_read_as_tomllib_reads_it(text: str) -> None:
    assert _same(_TOML.toml.parse(text), _expected(tomllib.loads(text)))


@pytest.mark.parametrize("text", _NOT_DOCUMENTS)
def test_what_is_not_toml_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    found = _TOML.toml.parse(text)
    assert isinstance(found, str) and found.startswith("line "), found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=6), st.text(alphabet="ab\"\\'\n\t# é", max_size=12)), max_size=4))
def test_every_text_comes_back_from_a_basic_string(pairs: list[tuple[str, str]]) -> None:
    escapes = {ord('"'): '\\"', ord("\\"): "\\\\", **{code: f"\\u{code:04x}" for code in (*range(32), 127)}}
    lines = [f'k{number} = "{value.translate(escapes)}"' for number, (_, value) in enumerate(pairs)]
    text = "\n".join(lines)
    assert _same(_TOML.toml.parse(text), tomllib.loads(text))


_FILES = [
    "p-1-py3-none-any.whl",
    "p-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "p-1-cp39-abi3-manylinux2014_aarch64.whl",
    "p-1-cp311-cp311-manylinux2014_aarch64.whl",
    "p-1-cp312-cp312-manylinux2014_aarch64.whl",
    "p-1-2-py3-none-any.whl",
    "p-1-10-py3-none-any.whl",
    "p-1-py2.py3-none-manylinux1_x86_64.whl",
    "p-1-cp311-cp311-musllinux_1_2_x86_64.whl",
    "p-1-cp311-cp311-manylinux_2_39_aarch64.whl",
]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(_FILES), unique=True, min_size=1),
    st.sampled_from(["linux_amd64_py311", "linux_arm64_py311"]),
)
def test_the_wheel_is_the_one_that_our_own_locks_name(files: list[str], platform: str) -> None:
    target = {"linux_amd64_py311": AMD64, "linux_arm64_py311": ARM64}[platform]
    structs = [_TOML.struct(filename=name) for name in files]
    found = _WHEEL_NAME.best(structs, _LOCK_TARGET.lock_target(platform))
    try:
        expected = target.best(files)
    except Exception:
        expected = None
    assert (found.filename if found else None) == expected


@pytest.mark.parametrize(
    ("files", "versions"),
    [
        (["p-1-cp311-cp311-manylinux_2_28_x86_64.whl"], "3.11"),
        (["p-1-cp312-cp312-linux_x86_64.whl", "p-1-cp311-cp311-manylinux_2_28_x86_64.whl"], "3.11, 3.12"),
        (["p-1-cp314-abi3-manylinux2014_x86_64.whl"], "3.14"),
        (["p-1-cp311-none-any.whl"], "3.11"),
        (["p-1-cp311-cp311-manylinux_2_28_aarch64.whl"], ""),
        (["p-1-cp311-cp311-musllinux_1_2_x86_64.whl"], ""),
        (["p-1-cp311-cp311-macosx_11_0_x86_64.whl", "p-1-cp311-cp311-win_amd64.whl"], ""),
        (["p-1-cp311-cp311-manylinux_2_99_x86_64.whl"], ""),
        (["p-1-cp39-cp39-manylinux_2_28_x86_64.whl"], ""),
        (["p-1-cp314-cp314t-manylinux_2_28_x86_64.whl", "p-1-pp311-pypy311_pp73-manylinux_2_28_x86_64.whl"], ""),
        (["p-1.whl"], ""),
    ],
)
def test_another_python_is_offered_if_a_wheel_is_for_it_and_for_the_target_in_all_else(
    files: list[str], versions: str
) -> None:
    said = _WHEEL_NAME.other_python(files, _LOCK_TARGET.lock_target("linux_amd64"))
    assert said == (f"give the image a Python that one of them is for ({versions}), or " if versions else "")
