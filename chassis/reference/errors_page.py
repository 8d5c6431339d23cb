"""Pages about what can go wrong: the doctor's codes, exit statuses, and the errors of the library."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from chassis.declaration.starlark import STARLARK_WRITTEN
from chassis.doctor.codes import CODES
from chassis.reference.markdown import code, page, prose, section, table

_ROOT_ERROR = "ChassisError"

_STATUSES = (
    ("0", "done; also after `--help`, and when a server was told to stop and answered what it had accepted"),
    (
        "1",
        "an error for the person who started it: `error: …` says what is wrong and where, then what to do. "
        "A server: nothing to serve, or a model that does not load",
    ),
    ("130", "interrupted with Ctrl-C"),
    ("any other", "a defect of Chassis, with its traceback; please report it"),
)


def doctor_page() -> str:
    """Returns the page about the doctor's codes."""
    rows = [(code(one.name), one.title, one.consequence) for one in CODES.values()]
    return page(
        "Doctor codes",
        "What the doctor finds in an image, and what it would do on the device. "
        "[The guide](../doctor.md) says how to waive a finding.",
        [table(("code", "finding", "on the device"), rows)],
    )


def doctor_codes_bzl() -> str:
    """Returns rules/private/doctor/doctor_codes.bzl."""
    lines = "".join(f'    "{name}",\n' for name in CODES)
    return f'"""The codes of chassis/doctor/codes.py. {STARLARK_WRITTEN}"""\n\nDOCTOR_CODES = [\n{lines}]\n'


def errors_page(sources: Mapping[str, str]) -> str:
    """Returns the page about exit statuses and errors; `sources` is the text of each module, by path."""
    return page(
        "Errors",
        "",
        [
            section(
                "Exit statuses",
                "Of the programs that `bazel run` starts, of tools in actions, and of the server in an image.",
                table(("status", "what it means"), _STATUSES),
            ),
            section(
                "Errors of the library",
                f"All derive from `{_ROOT_ERROR}`; a message names what is wrong, where, and what to do.",
                table(("error", "in", "what it says"), sorted(_errors(sources))),
            ),
        ],
    )


def _errors(sources: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each class below `ChassisError`, found in the sources, so that nothing has to be imported."""
    classes = {
        (path, node.name): node
        for path, text in sources.items()
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef)
    }
    names = {_ROOT_ERROR}
    while True:
        below = {
            name
            for (_, name), node in classes.items()
            if names & {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        }
        if below <= names:
            break
        names |= below
    for (path, name), node in classes.items():
        if name in names and not name.startswith("_"):
            module = path.removesuffix(".py").replace("/", ".")
            yield code(name), code(module), prose(ast.get_docstring(node) or "").partition("\n\n")[0]
