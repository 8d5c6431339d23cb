"""Makes the database of rates: `make_database RATES.csv RATES.sqlite`."""

import csv
import sqlite3
import sys
from pathlib import Path


def main(source: Path, output: Path) -> None:
    """Writes the rows of `source` to the new database `output`."""
    with source.open(newline="") as file:
        rows = [(row["country"], int(row["grams"]), int(row["cents"])) for row in csv.DictReader(file)]
    database = sqlite3.connect(output)
    with database:
        database.execute("CREATE TABLE rates (country TEXT, grams INTEGER, cents INTEGER)")
        database.executemany("INSERT INTO rates VALUES (?, ?, ?)", rows)
    database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
