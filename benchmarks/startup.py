"""How soon the command line answers, on a ledger of one customer: ``python benchmarks/startup.py``.

Makes a sandbox ledger of its own, with its own embedded PostgreSQL, runs each command from start to exit as anybody
would, and prints the shortest and the median wall time, the processor seconds of the run that needed fewest (with all
its processes, without PostgreSQL's), and the time that is promised on two quiet processors. What a tick lands, closes,
checks and locks is another month in each run. Bytecode is compiled first, as an installation has it.

    python benchmarks/startup.py --runs 7
    python benchmarks/startup.py --json > startup.json

Ends with 1 where the processor seconds of a command are more than the promise; the wall's time is the machine's too.
"""

import argparse
import compileall
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from rich.console import Console
from rich.table import Table

from billing_pipeline.ledger.server.embedded import EmbeddedPostgres

HERE = Path(__file__).parent
BILLING = str(Path(sys.executable).with_name("billing"))
LOCATION = "from billing_pipeline.definitions import defs; defs.get_repository_def().load_all_definitions()"
CATALOG = """
account: {{name: Example Cloud, currency: USD, grace: 3 days}}
sources:
  - {{id: usage, format: csv, event: {{customer: customer, meter: meter, timestamp: timestamp, value: value}}}}
meters:
  - {{id: compute, aggregation: sum, unit: GB-s}}
plans:
  - {{id: payg, currency: USD, prices: [
      {{id: compute, meter: compute, price: {{model: per_unit, unit_amount: "0.10"}}}}]}}
  - {{id: scale, currency: USD, fees: [{{id: seats, name: Seats, amount: 10, every: month}}], prices: [
      {{id: compute, meter: compute, price: {{model: per_unit, unit_amount: "0.05"}}}}]}}
customers:
  - {{id: acme, name: "Acme {number}", currency: USD, payment: {{gateway: file, collection: automatic}}}}
subscriptions:
  - {{id: acme-payg, customer: acme, plan: payg, start: 2026-01-01}}
"""


@dataclass
class Timing:
    """What was measured of one command.

    Attributes:
        name: of the row.
        promised: seconds from start to exit on two quiet processors; None for what is shown beside it.
        walls: seconds of each run, by the wall's clock.
        processors: processor seconds of each run.
    """

    name: str
    promised: float | None
    walls: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)

    def row(self) -> dict[str, object]:
        """As --json prints it."""
        return {
            "command": self.name,
            "wall_min": round(min(self.walls), 3),
            "wall_median": round(median(self.walls), 3),
            "processor_min": round(min(self.processors), 3),
            "promised": self.promised,
            "runs": len(self.walls),
        }


class Ledger:
    """One customer's ledger, and time that passes in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, folder / "home"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("BILLING_", "PYTHON"))},
            "BILLING_HOME": str(self.home),
            "BILLING_FIRST_PERIOD": "2026-01-01",
        }
        self.months = self._months()
        self.contents = count()

    def make(self) -> None:
        """Init, a catalog, and one month that is billed."""
        self.run("init", "--sandbox", BILLING_NOW="2026-01-01T00:00:00Z")
        self.run("catalog", "apply", self.catalog())
        self.month()
        self.run("tick")

    def run(self, *words: str, **environment: str) -> None:
        """One command that is not measured."""
        subprocess.run(
            [BILLING, *words], env=self.environment | environment, stdout=subprocess.DEVNULL, check=True
        )  # fmt: skip

    def catalog(self) -> str:
        """A small catalog that differs from the last in one object."""
        path = self.folder / "catalog.yaml"
        path.write_text(CATALOG.format(number=next(self.contents)))
        return str(path)

    def month(self, repeated: int = 0) -> None:
        """The next month's usage waits in the landing folder, and the month's lock has come.

        Args:
            repeated: how many events are reported twice: a figure that no check has seen before, if it is a new one.
        """
        start, after = next(self.months)
        self.run("clock", "set", after)
        days = (date.fromisoformat(after[:10]).replace(day=1) - date.fromisoformat(f"{start}-01")).days
        events = [f"acme,compute,{start}-{day + 1:02}T{hour:02}:00:00Z,5" for day in range(days) for hour in (8, 20)]
        rows = ["customer,meter,timestamp,value", *events, *events[:repeated]]
        folder = self.home / "landing" / "usage"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{start}.csv").write_text("\n".join(rows) + "\n")

    @staticmethod
    def _months() -> Iterator[tuple[str, str]]:
        """A month, and an instant at which it can be locked."""
        for number in count(2026 * 12):
            following = number + 1
            yield (
                f"{number // 12}-{number % 12 + 1:02}",
                f"{following // 12}-{following % 12 + 1:02}-05T00:00:00Z",
            )

    def remove(self) -> None:
        """Stop the server and leave nothing behind."""
        postgres = EmbeddedPostgres(self.home / "postgres")
        postgres.stop()
        with suppress(FileNotFoundError):
            shutil.rmtree(postgres.place)
        shutil.rmtree(self.folder)


def measured(timing: Timing, words: Sequence[str], environment: Mapping[str, str]) -> None:
    """One run of a program. Raises CalledProcessError where it fails."""
    started = time.monotonic()
    process = subprocess.Popen(words, env={**environment}, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    timing.walls.append(time.monotonic() - started)
    timing.processors.append(used.ru_utime + used.ru_stime)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)


def timings(ledger: Ledger, runs: int, told: Callable[[str], None]) -> list[Timing]:
    """Everything that is promised, measured ``runs`` times."""
    dry = ["plan", "assign", "acme", "scale", "--start", "current-period", "--dry-run"]
    several: list[tuple[str, float | None, Callable[[int], Sequence[str]]]] = [
        ("Python alone", None, lambda _: [sys.executable, "-c", ""]),
        ("--help", 0.3, lambda _: [BILLING, "--help"]),
        ("--version", 0.3, lambda _: [BILLING, "--version"]),
        ("status", 0.8, lambda _: [BILLING, "status"]),
        ("invoices list", 0.8, lambda _: [BILLING, "invoices", "list"]),
        ("catalog apply", 0.8, lambda _: [BILLING, "catalog", "apply", ledger.catalog()]),
        ("plan assign --dry-run", 2.0, lambda _: [BILLING, *dry]),
        ("tick, a month whose figures are known", 4.0, lambda _: _month(ledger, 0)),
        ("tick, a month whose figures are new", 8.0, lambda number: _month(ledger, number + 1)),
        ("tick, nothing to do", 1.0, lambda _: [BILLING, "tick"]),
        ("Dagster's code location", 4.0, lambda _: [sys.executable, "-c", LOCATION]),
    ]
    made = []
    for name, promised, words in several:
        told(name)
        timing = Timing(name, promised)
        for number in range(runs):
            measured(timing, words(number), ledger.environment)
        made.append(timing)
    return made


def _month(ledger: Ledger, repeated: int) -> Sequence[str]:
    ledger.month(repeated)
    return [BILLING, "tick"]


def shown(console: Console, made: Sequence[Timing]) -> None:
    """The table."""
    table = Table(title=f"A ledger of one customer, {os.cpu_count()} processors, Python {sys.version.split()[0]}")
    for name in ("command", "shortest", "median", "cpu-s", "promised"):
        table.add_column(name, justify="left" if name == "command" else "right")
    for one in made:
        walls = f"{min(one.walls):.2f}", f"{median(one.walls):.2f}"
        table.add_row(one.name, *walls, f"{min(one.processors):.2f}", f"< {one.promised:g}" if one.promised else "")
    console.print(table)


def main() -> None:
    """Parse, measure, print, remove."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5, help="how often each command runs; default: 5")
    arguments.add_argument("--json", action="store_true", help="print the rows as JSON")
    given = arguments.parse_args()
    for folder in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), HERE.parent / "billing_pipeline"):
        compileall.compile_dir(folder, quiet=2, workers=0)
    ledger = Ledger(Path(mkdtemp(prefix="billing-startup-")))
    try:
        ledger.make()
        made = timings(ledger, given.runs, lambda name: print(f"{name} …", file=sys.stderr))
    finally:
        ledger.remove()
    if given.json:
        print(json.dumps([one.row() for one in made], indent=2))
    else:
        shown(Console(highlight=False), made)
    raise SystemExit(any(one.promised and min(one.processors) > one.promised for one in made))


if __name__ == "__main__":
    main()
