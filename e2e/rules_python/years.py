"""The year of a date, scaled by what stands in a file beside this module."""

import pathlib

import dateutil.parser
import joblib

_SCALE = int((pathlib.Path(__file__).parent / "scale.txt").read_text())


def scaled_year(text: str) -> int:
    """The year, scaled, of a date in any form."""
    return joblib.delayed(_SCALE.__mul__)(dateutil.parser.parse(text).year)[1][0] * _SCALE
