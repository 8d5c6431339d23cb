"""Why a build from source failed, in words that say what to do, from what its backend printed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from chassis.cross.target import CrossTarget

_SHOWN_LINES = 25


@dataclass(frozen=True, slots=True)
class _Cause:
    pattern: re.Pattern[str]
    explanation: Callable[[re.Match[str], CrossTarget], str]


def _cause(pattern: str, explanation: Callable[[re.Match[str], CrossTarget], str]) -> _Cause:
    return _Cause(re.compile(pattern), explanation)


# The first that matches is told. What the backend said follows in any case.
_CAUSES = (
    _cause(
        r"Exec format error|cannot execute binary file",
        lambda match, target: (
            f"it runs a program that it has just compiled, and that program is for {target.machine}: such a build "
            "cannot be done on another machine\n  see whether it has an option to leave that step out (`env`, "
            "`config_settings`), or take a version that has a wheel"
        ),
    ),
    _cause(
        r"name resolution|Name or service not known|Could not resolve host|Network is unreachable"
        r"|Failed to establish a new connection|urlopen error|Could not find a version that satisfies"
        r"|No matching distribution found",
        lambda match, target: (
            "it wants the network, which builds here have none of, so that they are the same tomorrow\n"
            "  name what it fetches in `build_deps` (of a hub: `build_requires`), give the files among `srcs`, or see "
            "whether an option (`env`, `config_settings`) makes it use what is there"
        ),
    ),
    _cause(
        r"ModuleNotFoundError: No module named '([^']+)'",
        lambda match, target: (
            f"its build imports {match[1]}, which is not among its build requirements\n"
            "  name the distribution that has it in `build_deps` (of a hub: `build_requires`)"
        ),
    ),
    _cause(
        r"fatal error: '([^']+)' file not found",
        lambda match, target: (
            f"it includes {match[1]}, which neither the target's C library nor its Python has\n"
            "  it belongs to a C library: build that with `cc_library` and name it in `cc_deps`"
        ),
    ),
    _cause(
        r"unable to find library -l(\S+)",
        lambda match, target: (
            f"it links with lib{match[1]}, of which there is none for {target.machine}\n"
            "  build it with `cc_library` and name it in `cc_deps`"
        ),
    ),
    _cause(
        r"No such file or directory: '(\w[^'/]*)'|(?:/bin/sh|sh): \d+: (\S+): not found",
        lambda match, target: (
            f"it calls the program {match[1] or match[2]}: a build here sees sh, the compilers, and the programs that "
            "wheels of `build_deps` bring, and nothing of the machine's"
        ),
    ),
)


def explain(said: str, target: CrossTarget) -> str:
    """What is known of the cause, "" if nothing is."""
    for cause in _CAUSES:
        match = cause.pattern.search(said)
        if match:
            return cause.explanation(match, target)
    return ""


def last_lines(said: str) -> str:
    """The end of the backend's output, indented, with a line that says what it is."""
    lines = said.rstrip().splitlines()
    shown = lines[-_SHOWN_LINES:]
    if not shown:
        return "  the backend printed nothing"
    heading = f"  the last {len(shown)} of {len(lines)} lines that its build backend printed:"
    return "\n".join([heading, *("  | " + line for line in shown)])
