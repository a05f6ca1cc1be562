"""A golden month in a few lines: what is sold, what happens when, and which documents come of it.

A golden month is a folder, and says each line. These are for the seams between documents, periods and runs, where the
question is which document an amount stands on, and whether it stands on any: they say amounts.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.scenarios.golden_month import Content, Scenario
from billing_pipeline_tests.scenarios.invariants import broken
from billing_pipeline_tests.scenarios.walk import opened
from billing_pipeline_tests.servers import Server

Part = Mapping[str, object]
PUNCTUALLY, AFTER_AN_OUTAGE, AS_SAID = "punctually", "after an outage", "as said"
_USE = re.compile(r"use (\S+) (\S+)(?: of (\S+))? on (\S+)")  # quantity, meter, customer, timestamp
_DAYS = {1, 2, 4, 6, 11, 15, 20}
_HEAD = 4  # words: customer, kind, issue date, total
_ONE_UNIT = {"model": "per_unit", "unit_amount": "1"}
CALLS: Part = {"id": "calls", "meter": "calls", "price": _ONE_UNIT}
STORAGE: Part = {"id": "storage", "meter": "storage", "price": _ONE_UNIT}
SLOW_CALLS: Part = {**CALLS, "product": "slow"}
SLOW_STORAGE: Part = {**STORAGE, "product": "slow"}
_SHARED: Content = {
    "account": {"name": "Example", "currency": "USD"},
    "sources": [{"id": "usage", "format": "csv"}],
    "meters": [{"id": "calls", "aggregation": "sum"}, {"id": "storage", "aggregation": "sum"}],
    "products": [{"id": "slow", "invoicing_delay": "5 days"}],
    "customers": [{"id": "acme"}],
}


def fee(amount: str, **more: object) -> Part:
    """A monthly fee in advance, prorated, unless it says otherwise."""
    return {"id": "platform", "amount": amount, **more}


def arrears(amount: str) -> Part:
    """A monthly fee in arrears."""
    return fee(amount, timing="in_arrears")


def plan(name: str, *parts: Part, **more: object) -> Part:
    """A plan of some fees and prices, or of nothing."""
    fees, prices = ([part for part in parts if key in part] for key in ("amount", "meter"))
    return {"id": name, **({"fees": fees} if fees else {}), **({"prices": prices} if prices else {}), **more}


def subscription(plan_id: str, start: str, *, customer: str = "acme", **more: object) -> Part:
    """A subscription, with its customer's id."""
    return {"id": customer, "customer": customer, "plan": plan_id, "start": start, **more}


@dataclass(frozen=True)
class History:
    """What happens to a ledger, and what must come of it.

    Attributes:
        says: the rule, in words; the test's name.
        plans: that are sold.
        subscriptions: that there are from the start on.
        steps: instant → a command line without its ``billing``, or usage that lands: ``use 5 calls on 2026-01-20``.
        documents: all that are final at the end, a line each: customer, kind, issue date and total, where it matters
            ``= `` its lines' amounts, smallest first, ``due `` what is left to pay, and ``cut `` its cutoff's day.
        until: when the last run comes.
        start: when the catalog is applied.
        runs: when the product runs, where the history is about that; it is played so once more.
        more: of the catalog: account, customers, discounts.
        files: other catalog files, by the name by which steps apply them.
        now: what comes out today, where that is not what must be.
        fails: the ways of playing in which it does.
    """

    says: str
    plans: Sequence[Part]
    subscriptions: Sequence[Part]
    documents: str
    until: str
    steps: Mapping[str, str] = field(default_factory=dict)
    start: str = "2026-01-01"
    runs: Sequence[str] = ()
    more: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, Content] = field(default_factory=dict)
    now: str = ""
    fails: Sequence[str] = (PUNCTUALLY, AFTER_AN_OUTAGE, AS_SAID)

    @property
    def ways(self) -> Sequence[str]:
        """How it is played: what is final is the same whenever the product runs."""
        return (PUNCTUALLY, AFTER_AN_OUTAGE, *([AS_SAID] if self.runs else []))

    def marks(self, way: str) -> Sequence[pytest.MarkDecorator]:
        """That it fails today."""
        return [pytest.mark.xfail(strict=True, reason=self.now)] if self.now and way in self.fails else []

    def scenario(self, folder: Path, way: str = PUNCTUALLY) -> Scenario:
        """It, written down as a golden month."""
        folder.mkdir()
        for name, content in {**self.files, "catalog.yaml": {**_SHARED, **self._catalog()}}.items():
            _write(folder / name, content)
        ticks = {"ticks": [*self.runs]} if way == AS_SAID else {"ticks": [*self._punctual()]}
        steps = [{"at": at, "do": self._command(folder, number, do)} for number, (at, do) in self._numbered()]
        _write(folder / "script.yaml", {"start": self.start, "until": self.until, "steps": steps, **ticks})
        _write(folder / "expected.yaml", {"documents": []})
        return Scenario(folder)

    def _punctual(self) -> Iterator[str]:
        """After each step, and on the days on which documents here are issued or lock; every day takes too long."""
        yield from self.steps
        first, last = date.fromisoformat(self.start), date.fromisoformat(self.until)
        days = (first + timedelta(days=number) for number in range(1, (last - first).days + 1))
        yield from (day.isoformat() for day in days if day.day in _DAYS)

    def _numbered(self) -> Iterator[tuple[int, tuple[str, str]]]:
        every = ((at, do) for at, line in self.steps.items() for do in line.split("; "))
        return enumerate(every, 1)

    def _catalog(self) -> Content:
        return {**self.more, "plans": [*self.plans], "subscriptions": [*self.subscriptions]}

    @staticmethod
    def _command(folder: Path, number: int, do: str) -> str:
        used = _USE.fullmatch(do)
        if used is None:
            return do
        value, meter, customer, timestamp = used.groups()
        instant = timestamp if "T" in timestamp else f"{timestamp}T12:00:00Z"
        with (folder / f"{number}.csv").open("w", newline="") as file:
            names = ("customer", "meter", "timestamp", "value")
            csv.writer(file).writerows([names, (customer or "acme", meter, instant, value)])
        return f"usage land {number}.csv"


def each_way(histories: Sequence[History]) -> pytest.MarkDecorator:
    """A test for each history and way of playing it."""
    all_ways = [
        pytest.param(one, way, id=f"{one.says}, run {way}", marks=one.marks(way))
        for one in histories
        for way in one.ways
    ]
    return pytest.mark.parametrize(("history", "way"), all_ways)


def played(history: History, way: str, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What is wrong once it is played one way, in words; nothing where all is as it must be."""
    use_no_checks(monkeypatch)
    use_plain_metering(monkeypatch)
    with opened(history.scenario(folder / "history", way), server, folder) as walk:
        walk.between = None if way == AFTER_AN_OUTAGE else 0
        found = walk.run().documents()
        return "\n".join([*walk.wrong, *_differences(history.documents, found), *broken(walk)])


def _differences(expected: str, found: Sequence[Content]) -> Iterator[str]:
    wanted = sorted(" ".join(line.split()) for line in expected.strip().splitlines())
    like = {" ".join(line.split()[:_HEAD]): line for line in wanted}
    finals = [one for one in found if one["number"] is not None]
    if sorted(_said(one, like.get(_head(one), "")) for one in finals) != wanted:
        drafts = [f"{_head(one)} (draft)" for one in found if one["status"] == "draft" and one["lines"]]
        yield "\n".join(["must be", *wanted, "is", *sorted(_said(one, " = due cut ") for one in finals), *drafts])


def _head(one: Content) -> str:
    return f"{one['customer']} {one['kind']} {one['issue_date']} {one['total']}"


def _said(one: Content, like: str) -> str:
    """As the expectation says it: with its lines' amounts, what is due and its cutoff, where that says them."""
    amounts = " + ".join(str(amount) for amount in sorted(Decimal(line["amount"]) for line in one["lines"]))
    more = {" = ": amounts, " due ": one["amount_due"], " cut ": f"{one['cutoff']:%Y-%m-%d}"}
    return _head(one) + "".join(f"{word}{value}" for word, value in more.items() if word.strip() in like.split())


def _write(path: Path, content: Content) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
