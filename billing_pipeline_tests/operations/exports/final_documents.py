"""Final documents of every kind, written into a sandbox ledger as the lock leaves them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select

from billing_pipeline.core.money import minor_digits
from billing_pipeline.ledger.tables import (
    customer,
    document,
    document_line,
    document_version,
    document_void,
    finalization,
    input_set,
)
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, instant

CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud, currency: USD}
meters:
  - {id: GB-s, aggregation: sum, unit: GB-s, dimensions: [region]}
  - {id: calls, aggregation: count, unit: calls}
products:
  - {id: functions, name: Serverless functions}
plans:
  - id: pro
    currency: USD
    prices:
      - {id: compute, meter: GB-s, product: functions, price: {model: per_unit, unit_amount: "0.10"}}
      - {id: calls, meter: calls, convert: {divide_by: 1000}, price: {model: per_unit, unit_amount: "2"}}
customers:
  - {id: acme, name: Acme GmbH, currency: USD}
  - {id: umi, name: Umi KK, currency: JPY}
  - {id: dina, name: Dina, currency: KWD}
"""
)


def line(kind: str, amount: str, **more: Any) -> Mapping[str, Any]:
    """One line; ``amount`` in major units."""
    subscribed = {"subscription": "acme-pro", "plan": "pro", "plan_version": 1} if kind in {"usage", "fee"} else {}
    return {"kind": kind, "amount": Decimal(amount), "description": kind.replace("_", " "), **subscribed, **more}


@dataclass
class Books:
    """Writes final documents; numbers and ids follow their order."""

    sandbox: Sandbox
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _identities: Iterator[int] = field(default_factory=count)  # tell documents of one day and kind apart

    def document(
        self,
        *lines: Mapping[str, Any],
        at: str = "2026-02-04",
        customer_id: str = "acme",
        currency: str = "USD",
        credit_used: str = "0",
        kind: str = "closing",
        issued: str = "2026-02-01",
        period: str = "2026-01-01",
        off: int = 0,
    ) -> UUID:
        """A finalized document; ``off`` is by how many minor units its amount due is wrong. Without lines no number."""
        digits, found = minor_digits(currency), uuid4()
        minor = [int(one["amount"].scaleb(digits)) for one in lines]
        total, used = sum(minor), int(Decimal(credit_used).scaleb(digits))
        final_at, number = instant(at), f"2026-{next(self._numbers):06}" if lines else None
        with self.sandbox.billing.ledger.begin() as connection:
            code = connection.scalar(select(customer.c.code).where(customer.c.id == customer_id))
            connection.execute(
                insert(document).values(
                    id=found, customer=code, kind=kind, period=date.fromisoformat(period),
                    issue_date=date.fromisoformat(issued), reissue=next(self._identities),
                    bucket=0, currency=currency,
                )
            )  # fmt: skip
            connection.execute(
                insert(document_version).values(
                    document=found, version=1, lock_at=final_at, subtotal_minor=total, credits_applied_minor=0,
                    tax_minor=0, total_minor=total, customer_credit_applied_minor=used,
                    amount_due_minor=max(total, 0) - used + off, has_usage=True, covers=[], content="c",
                    as_of_batch=0, as_of_change=0, recorded_at=final_at, reason={}, code_version="v",
                )
            )  # fmt: skip
            for place, (one, amount) in enumerate(zip(lines, minor, strict=True), start=1):
                values = {"dimensions": {}, **one, "document": found, "version": 1, "line": place}
                del values["amount"]
                connection.execute(insert(document_line).values(amount_minor=amount, **values))
            self._finalize(connection, found, number, final_at)
        return found

    @staticmethod
    def _finalize(connection: Any, found: UUID, number: str | None, at: datetime) -> None:
        if not connection.scalar(select(input_set.c.fingerprint)):
            connection.execute(insert(input_set).values(fingerprint="none", content=[]))
        connection.execute(
            insert(finalization).values(
                document=found, version=1, number=number, cutoff=at, batch=0, change=0, terms="t", finalized_at=at,
                fingerprint="f", inputs="none", actor="tester",
            )
        )  # fmt: skip

    def void(self, found: UUID, at: str) -> None:
        """Make a document void."""
        with self.sandbox.billing.ledger.begin() as connection:
            connection.execute(
                insert(document_void).values(document=found, voided_at=instant(at), actor="tester", reason="mistake")
            )


def every_kind(books: Books) -> Sequence[UUID]:
    """Documents that have each kind of line, both signs, three currencies; one is void."""
    whole = books.document(
        line("fee", "100", price="seat", product=None, quantity=Decimal(5), description="Seats",
             service_start=date(2026, 2, 1), service_end=date(2026, 3, 1)),
        line("usage", "12.34", price="compute", product="functions", quantity=Decimal("123.4"),
             dimensions={"region": "eu"}, service_start=date(2026, 1, 1), service_end=date(2026, 2, 1)),
        line("usage", "4", price="calls", quantity=Decimal(2), service_start=date(2026, 1, 1),
             service_end=date(2026, 2, 1)),
        line("usage", "0", price="compute", product="functions", quantity=Decimal(0), dimensions={"region": "us"}),
        line("true_up", "7.66"),
        line("discount", "-24", description="Discount launch (20%)"),
        line("credit", "-50", description="Prepaid credit"),
        line("tax", "9.50", description="VAT 19%"),
        credit_used="20",
    )  # fmt: skip
    refund = books.document(
        line("adjustment", "-80", adjusts="usage", product="functions", adjusts_document=whole,
             plan="pro", plan_version=1, price="compute", quantity=Decimal(-800),
             service_start=date(2026, 1, 1), service_end=date(2026, 2, 1)),
        line("tax", "-15.20", description="VAT 19%"), at="2026-03-04T09:30",
    )  # fmt: skip
    yen = books.document(line("usage", "1250"), customer_id="umi", currency="JPY", at="2026-02-04")
    dinar = books.document(line("fee", "0.125"), customer_id="dina", currency="KWD", at="2026-02-28T23:59:59")
    wrong = books.document(line("usage", "99.99"), line("tax", "19"), at="2026-02-05", credit_used="10")
    books.document(at="2026-02-04")  # nothing was used: not issued
    books.void(wrong, "2026-03-01")
    return whole, refund, yen, dinar, wrong
