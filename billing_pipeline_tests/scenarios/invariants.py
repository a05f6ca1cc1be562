"""What must hold of any ledger, whatever happened to it. Each gives what is wrong, in words."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal

from billing_pipeline.operations.reading.period_summary import usage_summary
from billing_pipeline_tests.scenarios.walk import Walk

_FACTS = ("document_version", "document_line", "finalization", "document_void", "late_usage", "payment")


def broken(walk: Walk) -> list[str]:
    """Everything that does not hold."""
    return [wrong for check in _INVARIANTS for wrong in check(walk)]


def _totals(walk: Walk) -> Iterator[str]:
    """Totals are sums of lines, and are not rounded again."""
    for one in walk.documents(empty=True):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for line in one["lines"]:
            sums[line["kind"] if line["kind"] in {"tax", "credit"} else "subtotal"] += Decimal(line["amount"])
        amounts = {name: Decimal(one[name]) for name in ("subtotal", "tax", "total", "amount_due")}
        used = Decimal(one["customer_credit_applied"])
        wanted = {
            "subtotal": sums["subtotal"],
            "tax": sums["tax"],
            "total": sum(sums.values()),
            "amount_due": max(sum(sums.values()), Decimal(0)) - used,
        }
        if amounts != wanted:
            yield f"{one['customer']} {one['kind']} {one['issue_date']}: its amounts are not the sums of its lines"


def _customer_credit(walk: Walk) -> Iterator[str]:
    """What is used never exceeds what negative totals gave."""
    balances: dict[str, Decimal] = defaultdict(Decimal)
    for one in walk.documents():
        if one["status"] == "finalized":
            given = min(Decimal(one["total"]), Decimal(0))
            balances[one["customer"]] -= given + Decimal(one["customer_credit_applied"])
    yield from (f"{customer} used more credit than there was" for customer, left in balances.items() if left < 0)


def _numbers(walk: Walk) -> Iterator[str]:
    """A sequence without gaps, for each year of finalization; what was issued has a number, and nothing else has."""
    rows = walk.sandbox.query("SELECT number, finalized_at FROM finalization WHERE number IS NOT NULL ORDER BY number")
    by_year = defaultdict(list)
    for row in rows:
        by_year[walk.sandbox.billing.calendar.local_day(row.finalized_at).year].append(row.number)
    for year, numbers in by_year.items():
        if numbers != [f"{year}-{place:06}" for place in range(1, len(numbers) + 1)]:
            yield f"the numbers of {year} have gaps: {numbers}"
    zeros = walk.sandbox.billing.catalog().account.zero_documents == "issue"  # type: ignore[union-attr]
    for one in walk.documents(empty=True):
        asked = bool(one["lines"]) if zeros else any(Decimal(line["amount"]) for line in one["lines"])
        if (one["number"] is not None) != (one["status"] != "draft" and asked):
            yield f"{one['customer']} {one['kind']} {one['issue_date']}, {one['status']}, has number {one['number']}"


def _rows(walk: Walk) -> Iterator[str]:
    """No row is lost: landed = accepted + superseded + retracted + quarantined."""
    for period in walk.sandbox.billing.periods():
        summary = usage_summary(walk.sandbox.billing, period)
        ended = summary.ended
        parts = sum(int(str(count)) for name, count in ended.items() if name != "landed")
        if not summary.reconciliation.balanced or parts != ended["landed"] or ended["not deduped yet"]:
            yield f"{period.key} is not reconciled: {ended}"


def _again(walk: Walk) -> Iterator[str]:
    """Another tick finds nothing to do."""
    before = walk.documents(empty=True), _counts(walk)
    yield from (f"another tick does {step.name} {step.period}: {step.summary}" for step in walk.tick().steps)
    if before != (walk.documents(empty=True), _counts(walk)):
        yield "another tick changes documents"


def _counts(walk: Walk) -> list[int]:
    return [walk.sandbox.query(f"SELECT count(*) AS rows FROM {table}")[0].rows for table in _FACTS]


_INVARIANTS: tuple[Callable[[Walk], Iterator[str]], ...] = (_totals, _customer_credit, _numbers, _rows, _again)
