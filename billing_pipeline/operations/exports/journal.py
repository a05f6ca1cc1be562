"""Double entry: a final document as journal lines that balance, on a small chart of accounts.

The chart, whose names plain-text accounting understands as they are:

- ``assets:receivable``: what the customer is to pay: the document's amount due. Payments are booked where they arrive.
- ``liabilities:customer-credit``: what we owe customers from negative totals; later documents use it up.
- ``liabilities:prepaid-credit``: credits that customers hold; documents draw on them.
- ``liabilities:tax``: tax invoiced; the line's description names the rate.
- ``income:discount``: a reduction of income.
- ``income:KIND``, or ``income:KIND:PRODUCT`` where the line names its product: usage, fee, true_up. An adjustment is
  booked where the line that it corrects was.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import NamedTuple

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingCalendar
from billing_pipeline.ledger.reading.exported import FinalLine
from billing_pipeline.rating.line import LineKind, RatedLine

RECEIVABLE = "assets:receivable"
CUSTOMER_CREDIT = "liabilities:customer-credit"
PREPAID_CREDIT = "liabilities:prepaid-credit"
TAX = "liabilities:tax"
INCOME = "income"
_LIABILITIES = {LineKind.CREDIT: PREPAID_CREDIT, LineKind.TAX: TAX}


class Unbalanced(LedgerError):  # noqa: N818 - a state of the books, and the name of the error code
    """A final document's amounts contradict its lines: somebody changed them behind the program's back."""


class JournalLine(NamedTuple):
    """One line of the journal. Of ``debit`` and ``credit`` one is None.

    Attributes:
        day: local day on which it was booked: the document became final, or void. It never lies before what was
            exported already, whatever the document's own date.
        entry: the document's number; of a reversal, with ``-void``. With ``line`` it names the line for good.
        kind: of the document's line, or of what sums its lines up: receivable, customer_credit.
        service_start, service_end: local days ``[start, end)`` that the line is for.
    """

    day: date
    entry: str
    line: int
    account: str
    debit: Money | None
    credit: Money | None
    currency: str
    document: str
    document_id: str
    document_date: date
    document_kind: str
    customer: str
    kind: str
    description: str
    service_start: date | None
    service_end: date | None


class Posting(NamedTuple):
    """An amount on an account, in minor units: a debit is positive."""

    account: str
    minor: int
    kind: str
    description: str
    service_start: date | None = None
    service_end: date | None = None


def journal(lines: Iterable[FinalLine], calendar: BillingCalendar) -> Iterator[list[JournalLine]]:
    """The entries of these documents, one a document, each balanced; none where a document has no amount.

    Raises:
        Unbalanced: a document's lines do not add up to what it says is due.
    """
    for _, of_document in groupby(lines, key=lambda line: (line.document, line.reversal)):
        together = list(of_document)
        if entry := _entry(together, postings(together), calendar.local_day(together[0].at)):
            yield entry


def postings(document: Sequence[FinalLine]) -> list[Posting]:
    """What a document does to the accounts.

    Raises:
        Unbalanced: see above.
    """
    head = document[0]
    kept = int(head.customer_credit) - max(-int(head.total), 0)  # credit used up, less credit that it makes
    posted = [
        Posting(RECEIVABLE, int(head.amount_due), "receivable", f"Invoice {head.number}"),
        Posting(CUSTOMER_CREDIT, kept, "customer_credit", "Customer credit used" if kept > 0 else "Customer credit"),
        *(_posting(final.line) for final in document),
    ]
    if off := sum(posting.minor for posting in posted):
        raise Unbalanced(
            f"Invoice {head.number} does not balance: debits and credits differ by {Money(off, head.currency)} "
            f"{head.currency}.",
            hint="Its amounts were changed outside of the program; restore them from a backup. Nothing was written.",
        )
    return [_reversed(posting) for posting in posted] if head.reversal else posted


def _posting(line: RatedLine) -> Posting:
    return Posting(
        account_of(line), -line.amount.minor, line.kind, line.description, line.service_start, line.service_end
    )


def account_of(line: RatedLine) -> str:
    """The account that a document's line is booked on."""
    kind = line.adjusts or line.kind
    if kind in _LIABILITIES:
        return _LIABILITIES[kind]
    return ":".join(part for part in (INCOME, kind, line.product) if part)


def _reversed(posting: Posting) -> Posting:
    return posting._replace(minor=-posting.minor, description=f"Void: {posting.description}")


def _entry(document: Sequence[FinalLine], posted: Iterable[Posting], day: date) -> list[JournalLine]:
    """Without the amounts of zero, of which a journal knows nothing."""
    head = document[0]
    return [
        JournalLine(
            day=day,
            entry=f"{head.number}-void" if head.reversal else head.number,
            line=number,
            account=posting.account,
            debit=Money(posting.minor, head.currency) if posting.minor > 0 else None,
            credit=Money(-posting.minor, head.currency) if posting.minor < 0 else None,
            currency=head.currency,
            document=head.number,
            document_id=str(head.document),
            document_date=head.issue_date,
            document_kind=head.document_kind,
            customer=head.customer,
            kind=posting.kind,
            description=posting.description,
            service_start=posting.service_start,
            service_end=posting.service_end,
        )
        for number, posting in enumerate((posting for posting in posted if posting.minor), start=1)
    ]


class Totals:
    """Debits and credits by currency and account."""

    def __init__(self) -> None:
        self.lines = self.entries = 0
        self._debits = defaultdict[tuple[str, str], int](int)
        self._credits = defaultdict[tuple[str, str], int](int)

    def add(self, entry: Iterable[JournalLine]) -> None:
        """Count an entry in."""
        self.entries += 1
        for line in entry:
            self.lines += 1
            key = line.currency, line.account
            self._debits[key] += line.debit.minor if line.debit else 0
            self._credits[key] += line.credit.minor if line.credit else 0

    def by_account(self) -> list[tuple[str, Money, Money]]:
        """(account, debits, credits), by currency and account."""
        return [
            (account, Money(debit, currency), Money(self._credits[currency, account], currency))
            for (currency, account), debit in sorted(self._debits.items())
        ]

    def by_currency(self) -> list[tuple[Money, Money]]:
        """(debits, credits) of each currency.

        Raises:
            Unbalanced: they differ.
        """
        sums: dict[str, tuple[Money, Money]] = {}
        for _, debit, credit in self.by_account():
            before = sums.get(debit.currency, (Money(0, debit.currency), Money(0, debit.currency)))
            sums[debit.currency] = before[0] + debit, before[1] + credit
        for debit, credit in sums.values():
            if debit != credit:
                raise Unbalanced(
                    f"The journal does not balance: debits {debit}, credits {credit} {debit.currency}.",
                    hint="This is a fault of the program; nothing was written.",
                )
        return list(sums.values())
