"""Postage by country and weight, looked up in a database of the image: a model that loads before it answers."""

from __future__ import annotations

import json
import sqlite3

import chassis

QUERY = "SELECT cents FROM rates WHERE country = ? AND grams >= ? ORDER BY grams LIMIT 1"


def load() -> sqlite3.Connection:
    """Each process of the model calls this once, before the model counts as ready: no pickle can hold a connection."""
    path = chassis.data_path("rates.sqlite")
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def postage(database: sqlite3.Connection, parcel: bytes) -> dict[str, int]:
    """The price of `{"country": "IT", "grams": 120}`, in cents."""
    asked = json.loads(parcel)
    found = database.execute(QUERY, (asked["country"], asked["grams"])).fetchone()
    if found is None:
        raise ValueError(f"no rate to {asked['country']} for {asked['grams']} g")
    return {"cents": found[0]}
