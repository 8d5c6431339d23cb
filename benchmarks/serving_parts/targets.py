"""What was wanted of a server, and whether it was met."""

from __future__ import annotations


class Targets:
    """The targets of a run, in order."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def check(self, what: str, found: str, *, met: bool) -> None:
        """Prints a target under its table, and keeps it for the end."""
        line = f"  {what}: {found}: {'met' if met else 'missed'}"
        print(line, flush=True)
        self._lines.append(line)

    def at_least(self, what: str, ratio: float, wanted: float) -> None:
        """A ratio that is to be large."""
        self.check(what, f"{ratio:.2f}, at least {wanted:g} wanted", met=ratio >= wanted)

    def at_most(self, what: str, ratio: float, wanted: float) -> None:
        """A ratio that is to be small."""
        self.check(what, f"{ratio:.2f}, at most {wanted:g} wanted", met=ratio <= wanted)

    def show(self) -> None:
        """All of them."""
        print("\n".join(["", "targets", *self._lines]), flush=True)
