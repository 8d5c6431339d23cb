"""What a pipeline calls by its name, in training and in the image."""

from __future__ import annotations

import pandas as pd


def of_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns, and what is missing as 0."""
    return frame.assign(a=frame["a"].fillna(0))
