"""The floor: one query adds up the same file by customer, meter and place. No dedupe, no prices, no documents."""

import argparse
from pathlib import Path

import duckdb


def main(file: Path, made: Path) -> None:
    """Add up and write."""
    duckdb.sql(f"""
        COPY (SELECT customer, meter, provider, region, sum(value::DECIMAL(18, 3)) AS quantity, count(*) AS events
              FROM read_parquet('{file}') GROUP BY ALL)
        TO '{made}' (FORMAT parquet)
    """)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("made", type=Path)
    given = arguments.parse_args()
    main(given.file, given.made)
