"""What was measured, as a table and as the ratios that matter."""

import os
from collections.abc import Mapping

from measured import Usage
from rich.console import Console
from rich.table import Table

RIVAL = "pandas"


def show(console: Console, title: str, used: Mapping[str, Usage]) -> None:
    """Print both.

    Args:
        console: where.
        title: what was billed.
        used: by step.
    """
    table = Table(title=f"{title}, {os.cpu_count()} processors")
    for name in ("step", "seconds", "cpu-s", "of it PostgreSQL", "peak memory", "PostgreSQL's", "cpu-s / pandas"):
        table.add_column(name, justify="left" if name == "step" else "right")
    for step, one in used.items():
        table.add_row(
            step, f"{one.seconds:.1f}", f"{one.work:.1f}", f"{one.database:.1f}", _megabytes(one.memory),
            _megabytes(one.database_memory), f"{one.work / used[RIVAL].work:.2f}",
        )  # fmt: skip
    console.print(table)
    for what, ratio in _ratios(used):
        console.print(f"{ratio:6.2f}  {what}")


def _ratios(used: Mapping[str, Usage]) -> list[tuple[str, float]]:
    rival, again = used[RIVAL], used["pandas again"]
    land, late, first, second = (used[one] for one in ("land", "land the late 1%", "close", "close again"))
    return [
        ("processor time, close / pandas", first.work / rival.work),
        ("processor time, land and close / pandas", (land.work + first.work) / rival.work),
        ("processor time, land and close the late 1% / pandas again", (late.work + second.work) / again.work),
        ("processor time, second close / first close", second.work / first.work),
        ("memory, land / pandas", land.memory / rival.memory),
        ("memory, close with PostgreSQL / pandas", (first.memory + first.database_memory) / rival.memory),
    ]


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
