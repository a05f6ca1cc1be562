"""What people see: ``billing up`` in a real browser. Screenshots to look at are left in ``.artifacts/screenshots``."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy.engine import make_url

from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.patience import PATIENCE_SECONDS
from billing_pipeline_tests.pipeline.month import CATALOG
from billing_pipeline_tests.sandbox import Sandbox, administer, open_sandbox, use
from billing_pipeline_tests.servers import Server, with_our_code

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
# As root and without a display; a browser that calls nobody.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / ".artifacts" / "screenshots"
PATIENCE = 180_000  # milliseconds; the pages come in one or two seconds, runs start in about seven
LOOK = 5_000  # then the page is opened again

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"no browser is installed: {', '.join(BROWSERS)}"),
]


def last_month() -> date:
    """Its first day. The page for launching runs offers the last 90 days first."""
    return (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """Last month in its grace, closed by the command line: Dagster has not seen it, and its sensors find no work."""
    month = last_month()
    with open_sandbox(
        postgres, tmp_path, CATALOG.replace("2026-01-01", month.isoformat()), now=month.isoformat(),
        first_period=(month - timedelta(days=40)).replace(day=1),
    ) as made:  # fmt: skip
        day = month.replace(day=3).isoformat()
        made.at(f"{day}T12:00").land(
            use("acme", "compute", f"{day}T10:00", 12345, "eu"),
            use("acme", "compute", f"{day}T11:00", -5, "eu"),
            use("beta", "compute", f"{day}T10:00", 700, "us"),
        )
        ends = (month + timedelta(days=32)).replace(day=1).isoformat()
        tick(made.at(ends).billing)
        made.at(f"{ends}T06:00").land(use("acme", "compute", f"{day}T10:00", 22345, "eu"))
        tick(made.billing)
        yield made


@pytest.fixture
def address(sandbox: Sandbox, postgres: Server) -> Iterator[str]:
    """Where ``billing up`` serves that ledger."""
    name = f"dagster_{sandbox.folder.name}"
    administer(postgres.owner_url(), f'CREATE DATABASE "{name}"')
    url = make_url(postgres.owner_url()).set(database=name).render_as_string(hide_password=False)
    environment = with_our_code() | sandbox.environment | {"BILLING_DAGSTER_DATABASE_URL": url}
    command = [sys.executable, "-c", "from billing_pipeline.cli import app; app()"]
    up = subprocess.Popen([*command, "up", "--json"], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert up.stdout is not None
        yield str(json.loads("".join(iter(up.stdout.readline, "}\n")) + "}")["address"])
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, capture_output=True, cwd=ROOT)
        up.communicate(timeout=PATIENCE_SECONDS)
        administer(postgres.owner_url(), f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass
class Reader:
    """Somebody in front of the page."""

    page: Page
    address: str

    def open(self, path: str) -> "Reader":
        self.page.goto(self.address + path)
        return self

    def comes_to(self, path: str, text: str) -> "Reader":
        """Look again until it is there."""
        for _ in range(PATIENCE // LOOK):
            self.open(path)
            with suppress(AssertionError):
                expect(self.page.get_by_text(text, exact=True).first).to_be_visible(timeout=LOOK)
                break
        return self.sees(text)

    def sees(self, text: str | re.Pattern[str]) -> "Reader":
        """It is there, or comes."""
        expect(self.page.get_by_text(text, exact=True).first).to_be_visible()
        return self

    def reads(self, name: str, value: str) -> "Reader":
        """A row of metadata: its name, then its value."""
        row = self.page.locator("tr", has=self.page.get_by_role("cell", name=name, exact=True)).first
        expect(row).to_contain_text(value)
        return self

    def keeps(self, name: str) -> "Reader":
        """What is seen, as a picture."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
        return self


@pytest.fixture
def reader(address: str) -> Iterator[Reader]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        page = browser.new_page(viewport={"width": 1700, "height": 1400})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield Reader(page, address)
        browser.close()


STAGES = ("usage", "metering", "rating", "invoicing", "payments")
ASSETS = ("raw_usage", "deduped_usage", "metered_usage", "rated_lines", "invoices", "payments")


def test_a_person_sees_the_path_closes_a_month_and_reads_what_came_of_it(reader: Reader) -> None:
    month = last_month().isoformat()
    reader.open("/asset-groups?expanded=" + ",".join(f"global@global:{stage}" for stage in STAGES))
    for asset in ASSETS:
        reader.sees(asset)
    reader.keeps("1-lineage")

    materialize(reader, month)

    reader.comes_to(f"/assets/invoices?view=partitions&partition={month}", "Materialized")
    reader.reads("invoices", "2").reads("total", "$2,304.00").reads("largest", "$2,234.00")
    reader.reads("changed, the last first", "$1,000.00").reads("changed, the last first", "batch 2")
    reader.reads("report", f"reports/{month}.html").reads("an invoice as PDF", "billing invoices render NUMBER")
    reader.keeps("3-invoices")

    reader.open("/assets/deduped_usage?view=checks&checkDetail=negative_values")
    reader.sees("1 value of 1 customer").reads("what to do", "retract it").reads("found, the worst first", "acme")
    reader.keeps("4-check")

    for at, (asset, name, value) in enumerate(
        (
            ("raw_usage", "rows landed", "4"),
            ("deduped_usage", "events that count", "3"),
            ("metered_usage", "quantities", "2"),
            ("rated_lines", "total", "$2,304.00"),
            ("payments", "final invoices", "0"),
        ),
        start=5,
    ):
        reader.open(f"/assets/{asset}?view=partitions&partition={month}").reads(name, value).keeps(f"{at}-{asset}")


def materialize(reader: Reader, month: str) -> None:
    """Click, choose the partition, launch."""
    page = reader.page
    page.get_by_role("button", name="Materialize all").first.click()
    dialog = page.get_by_role("dialog")
    chosen = dialog.get_by_placeholder("No matching partitions")
    chosen.fill(month)
    chosen.press("Enter")
    expect(dialog.get_by_text("1 partition", exact=True).first).to_be_visible()
    reader.keeps("2-choose-the-partition")
    dialog.get_by_role("button", name="Launch").click()
    expect(page.get_by_text(re.compile("Launched run")).first).to_be_visible()
