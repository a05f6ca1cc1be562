"""Bill one generated month, measure each step, and compare with a pandas script that must arrive at the same cents.

    python benchmarks/month.py --events 10000000 --customers 50000

Everything lies in a folder of its own, which is removed at the end; each step is a process of its own, the product's
through its command line, on its embedded PostgreSQL as it always runs.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pyarrow.parquet as pq
from measured import Usage, run
from prices import PERIOD, write_catalog
from report import show
from rich.console import Console

from billing_pipeline.ledger.database import Ledger
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres
from billing_pipeline.ledger.server.postmaster import Postmaster

HERE = Path(__file__).parent
BILLING = (sys.executable, "-c", "from billing_pipeline.cli import app; app()")
DURING, ENDED = "2026-01-31T23:55:00Z", "2026-02-01T00:05:00Z"
LATE, AFTER = "2026-02-02T09:00:00Z", "2026-02-06T00:05:00Z"
TOTALS = """
    SELECT c.id, sum(d.amount_due_minor) AS minor FROM current_document AS d JOIN customer AS c ON c.code = d.customer
    WHERE d.period = :period GROUP BY c.id
"""


class Month:
    """The steps, each measured under its name."""

    def __init__(self, folder: Path, count: int, customers: int) -> None:
        self.folder, self.count, self.customers = folder, count, customers
        self.console = Console(highlight=False, width=max(Console().width, 120))
        self.home = folder / "home"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BILLING_")},
            "BILLING_HOME": str(self.home),
            "BILLING_FIRST_PERIOD": PERIOD.isoformat(),
            "PYTHONPATH": str(HERE.parent),
        }
        self.postgres = EmbeddedPostgres(self.home / "postgres")
        self.used: dict[str, Usage] = {}

    def bill(self) -> None:
        """All of it."""
        month, late = self.folder / "month.parquet", self.folder / "late.parquet"
        self.python("generate", "generate.py", self.folder, f"--events={self.count}", f"--customers={self.customers}")
        catalog = write_catalog(self.folder, self.customers)
        self.billing("initialize", "init", "--sandbox", BILLING_NOW=f"{PERIOD}T00:00:00Z")
        self.billing("apply the catalog", "catalog", "apply", str(catalog))
        self.clock(DURING)
        self.billing("land", "usage", "land", str(month))
        self.clock(ENDED)
        self.billing("close", "close", PERIOD.isoformat())
        self.python("pandas", "pandas_rival.py", catalog, self.folder / "rival", month)
        self.compare("after the first close")
        self.python("DuckDB, one sum", "duckdb_floor.py", month, self.folder / "floor.parquet")
        self.clock(LATE)
        self.billing("land the late 1%", "usage", "land", str(late))
        self.billing("close again", "close", PERIOD.isoformat())
        self.python("pandas again", "pandas_rival.py", catalog, self.folder / "rival", month, late)
        self.compare("after the late usage")
        self.billing("close, nothing new", "close", PERIOD.isoformat())
        self.clock(AFTER)
        self.billing("lock", "lock", PERIOD.isoformat())
        self.compare("after the lock")

    def billing(self, step: str, *arguments: str, **environment: str) -> None:
        """One command of the product."""
        self._run(step, [*BILLING, *arguments], self.environment | environment)

    def python(self, step: str, script: str, *arguments: object) -> None:
        """One script beside this one."""
        self._run(step, [sys.executable, str(HERE / script), *map(str, arguments)], self.environment)

    def clock(self, instant: str) -> None:
        """Move the sandbox's clock."""
        subprocess.run([*BILLING, "clock", "set", instant], env=self.environment, stdout=subprocess.DEVNULL, check=True)

    def _run(self, step: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.console.print(f"{step} …", end=" ")
        self.used[step] = used = run(command, environment, self._server)
        self.console.print(f"{used.seconds:.1f} s, {used.work:.1f} cpu-s, {used.memory / 1e6:,.0f} MB")

    def _server(self) -> psutil.Process | None:
        return Postmaster(self.postgres.data).process() if self.postgres.root.exists() else None

    def compare(self, when: str) -> None:
        """The rival's totals must be the ledger's, customer by customer."""
        rows = pq.read_table(self.folder / "rival" / "totals.parquet").to_pylist()
        rival = {row["customer"]: int(row["total"].scaleb(2)) for row in rows}
        ledger = Ledger(self.postgres.app_url())
        with ledger.begin() as connection:
            found = connection.exec_driver_sql(TOTALS.replace(":period", "%s"), (PERIOD,))
            ours = {customer: int(minor) for customer, minor in found if minor}
        ledger.close()
        different = [one for one in {*rival, *ours} if rival.get(one, 0) != ours.get(one, 0)]
        if different:
            one = min(different)
            raise SystemExit(f"{len(different)} totals differ, e.g. {one}: {ours.get(one)}, pandas {rival.get(one)}.")
        total = Decimal(sum(ours.values())).scaleb(-2)
        self.console.print(f"  [bold]equal to the cent {when}[/bold]: {len(ours):,} customers, {total:,} USD")

    def report(self) -> None:
        """The table, and what follows from it."""
        show(self.console, f"{self.count:,} events, {self.customers:,} customers", self.used)

    def remove(self) -> None:
        """Stop the server and leave nothing behind."""
        self.postgres.stop()
        with suppress(FileNotFoundError):
            shutil.rmtree(self.postgres.place)
        shutil.rmtree(self.folder)


def main() -> None:
    """Parse, run, report, remove."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=10_000_000)
    arguments.add_argument("--customers", type=int, default=50_000)
    arguments.add_argument("--keep", action="store_true", help="leave the folder and the server for a closer look")
    given = arguments.parse_args()
    folder = Path(mkdtemp(prefix="billing-benchmark-"))
    month = Month(folder, given.events, given.customers)
    try:
        month.bill()
        month.report()
    finally:
        if given.keep:
            print(f"Kept: {folder}")
        else:
            month.remove()


if __name__ == "__main__":
    main()
