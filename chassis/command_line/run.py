"""How every executable starts: absl flags in, an exit status and readable errors out."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags

from chassis.command_line import persistent_worker
from chassis.errors import ChassisError


def run_main(
    main: Callable[[Sequence[str]], int | None],
    *,
    positional: bool = False,
    in_worker: Callable[[persistent_worker.Digests], int | None] | None = None,
) -> None:
    """Parses flags, calls `main`, exits.

    The status is 0 on success and after `--help`, 1 on a `ChassisError` (printed as `error: …`) or a full disk, 130 on
    Ctrl-C. One of Bazel's persistent workers does so for every request; `in_worker`, if there is one, gets the
    request's inputs there in place of `main`. Arguments that are not flags are for a `positional` one alone.
    """

    def guarded(argv: Sequence[str], digests: persistent_worker.Digests | None = None) -> int | None:
        try:
            if len(argv) > 1 and not positional:
                raise ChassisError(f"unexpected argument {argv[1]!r}; --help lists the flags")
            return main(argv) if digests is None or in_worker is None else in_worker(digests)
        except ChassisError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            place = f" {error.filename}" if error.filename else ""
            print(f"error: cannot write{place}: {error.strerror}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    if persistent_worker.FLAG not in sys.argv[1:]:
        app.run(guarded, flags_parser=_parse)
    own = [argument for argument in sys.argv if argument != persistent_worker.FLAG]

    def act(arguments: Sequence[str], digests: persistent_worker.Digests) -> int | None:
        flags.FLAGS.unparse_flags()  # each request has flags of its own, and the defaults of those that it leaves out
        return guarded(_parse([*own, *arguments]), digests)

    persistent_worker.serve(act)


def caller_path(name: str) -> Path:
    """A path as whoever calls `bazel run` means it: relative to their directory, not to the runfiles tree."""
    return Path(os.environ.get("BUILD_WORKING_DIRECTORY", ".")) / name


def _parse(argv: list[str]) -> list[str]:
    try:
        rest: list[str] = app.parse_flags_with_usage(argv)
        return rest
    except SystemExit:
        # absl ends with 1 after the help, too; who asked for it did not fail.
        if not {"-h", "-?", "--help", "--helpshort", "--helpfull", "--helpxml"}.isdisjoint(argv[1:]):
            raise SystemExit(0) from None
        raise
