"""The report of a period: what a person reads of it, and that it is one file that is the same when made again."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from billing_pipeline.core.errors import SettingsError
from billing_pipeline.operations.locking import holds
from billing_pipeline.operations.reading.period_report import period_report, write_period_report
from billing_pipeline_tests.sandbox import FEBRUARY, SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: "Example & Co", currency: USD, grace: 3 days}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
products:
  - {id: functions, name: "Functions at <$1>"}
plans:
  - {id: payg, currency: USD, prices: [
      {id: compute, product: functions, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}
  - {id: euro, currency: EUR, prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}
customers:
  - {id: acme, name: Acme GmbH, currency: USD}
  - {id: beta, name: Beta Inc, currency: EUR}
subscriptions:
  - {id: acme-payg, customer: acme, plan: payg, start: 2025-12-01}
  - {id: beta-euro, customer: beta, plan: euro, start: 2025-12-01}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """December locked; January ended, changed once since and held for beta."""
    with open_sandbox(postgres, tmp_path, CATALOG, now="2025-12-01") as made:
        made.at("2025-12-20").land(use("acme", "compute", "2025-12-03T10:00", 100, "eu"))
        made.at("2026-01-04").close("2025-12-01")
        made.lock("2025-12-01")
        made.at("2026-01-20").land(
            use("acme", "compute", "2026-01-03T10:00", 700, "eu"),
            use("beta", "compute", "2026-01-03T10:00", 50, "eu"),
            use("nobody", "compute", "2026-01-03T10:00", 1, "eu"),
        )
        made.at("2026-02-01").close()
        made.at("2026-02-02").land(use("acme", "compute", "2026-01-03T10:00", 900, "eu"))
        made.close()
        holds.place(made.billing, ["beta"], "2026-01-01", "a <dispute>")
        yield made


def read(html: str) -> dict[str, list[list[str]]]:
    """The rows of each table by its caption."""
    tables = {}
    for caption, body in re.findall(r"<caption[^>]*>(.*?)</caption>.*?<tbody>(.*?)</tbody>", html, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        tables[unescape(caption)] = [
            [unescape(cell) for cell in re.findall(r"<td[^>]*><bdi>(.*?)</bdi></td>", row)] for row in rows
        ]
    return tables


def test_a_person_reads_what_a_period_comes_to_and_what_is_in_its_way(sandbox: Sandbox) -> None:
    html = period_report(sandbox.billing, sandbox.period())
    tables = read(html)
    assert "<title>Example &amp; Co: January 2026</title>" in html
    assert '<p class="state in-grace">in grace</p>' in html
    assert [row[-2:] for row in tables["Documents by kind, status and currency"]] == [["1", "€5.00"], ["1", "$90.00"]]
    assert tables["Customers whose totals differ most from the period before"] == [
        ["beta", "€0.00", "€5.00", "€5.00"],
        ["acme", "$10.00", "$90.00", "$80.00"],
    ]
    (changed,) = tables["Documents whose newest version changed"]
    assert changed[:4] == ["acme", "$70.00", "$90.00", "$20.00"]
    assert changed[4].startswith("batch 3")
    assert tables["Holds"] == [["beta", "manual", "a <dispute>", "tester"]]
    assert tables["Landed rows and where they ended"] == [["4", "2", "1", "0", "1", "0"]]


def test_revenue_has_a_plot_of_each_currency_and_no_markup_of_a_name(sandbox: Sandbox) -> None:
    html = period_report(sandbox.billing, sandbox.period())
    assert html.count("<svg") == 4  # two currencies, by day and by product
    assert "Functions at &lt;$1&gt;" in html
    assert "Functions at <" not in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|xlink:href="#)([^")]+)', html)) <= set(ids)
    assert re.findall(r'(?:src|(?<!:)href)="(?!#)', html) == []


def test_made_again_it_is_the_same_and_replaces_the_file(sandbox: Sandbox) -> None:
    path = write_period_report(sandbox.billing, sandbox.period())
    first = path.read_bytes()
    assert path == sandbox.billing.settings.home / "reports" / "2026-01-01.html"
    assert write_period_report(sandbox.billing, sandbox.period()).read_bytes() == first
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_locked_period_and_an_empty_one(sandbox: Sandbox) -> None:
    december = period_report(sandbox.billing, sandbox.period("2025-12-01"))
    assert '<p class="state locked">locked</p>' in december
    empty = period_report(sandbox.billing, sandbox.period(FEBRUARY))
    assert '<p class="state open">open</p>' in empty
    assert "There are no documents yet." in empty
    assert "No usage has landed." in empty


def test_a_folder_that_cannot_be_written_is_named(sandbox: Sandbox) -> None:
    (sandbox.billing.settings.home / "reports").write_text("a file in its place")
    with pytest.raises(SettingsError, match="reports"):
        write_period_report(sandbox.billing, sandbox.period())
