"""What the rents of flats are told from, in training and in the image."""

from __future__ import annotations

import pandas as pd


def of_flats(flats: pd.DataFrame) -> pd.DataFrame:
    """Numbers and the city of each flat."""
    months = flats["listed"].dt.year * 12 + flats["listed"].dt.month
    return flats.assign(months=months - 2020 * 12, per_room=flats["area"] / flats["rooms"]).drop(columns="listed")
