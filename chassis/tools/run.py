"""How every executable starts: absl flags in, an exit status and readable errors out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from absl import app

from chassis.errors import ChassisError


def run_main(main: Callable[[Sequence[str]], int | None]) -> None:
    """Parses flags, calls `main`, exits.

    The status is 0 on success and after `--help`, 1 on a `ChassisError` (printed as `error: …`), 130 on Ctrl-C.
    """

    def guarded(argv: Sequence[str]) -> int | None:
        if len(argv) > 1:
            raise app.UsageError(f"unexpected argument {argv[1]!r}")
        try:
            return main(argv)
        except ChassisError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    app.run(guarded, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except SystemExit:
        # absl ends with 1 after the help, too, which is no failure of who asked for it.
        if not {"-h", "-?", "--help", "--helpshort", "--helpfull", "--helpxml"}.isdisjoint(argv[1:]):
            raise SystemExit(0) from None
        raise
