"""Numbers as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(size: int) -> str:
    """Bytes in decimal units with three digits at most: `0 B`, `512 B`, `4.2 kB`, `118 MB`."""
    value, unit = float(abs(size)), 0
    # 999.5 would be printed as 1000.
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    digits = f"{value:.1f}" if unit and value < 99.95 else f"{value:.0f}"
    return f"{'-' if size < 0 else ''}{digits} {_UNITS[unit]}"


def share_text(share: float) -> str:
    """A part of a whole in percent: `0 %`, `<0.1 %`, `4.2 %`, `41 %`."""
    percent = share * 100
    if 0 < percent < 0.05:
        return "<0.1 %"
    return f"{percent:.0f} %" if percent >= 9.95 or not percent else f"{percent:.1f} %"


def count_text(count: int, what: str, plural: str = "") -> str:
    """`1 layer`, `1,204 files`; `plural` if it is not `what` with an s."""
    return f"{count:,} {what if count == 1 else plural or what + 's'}"
