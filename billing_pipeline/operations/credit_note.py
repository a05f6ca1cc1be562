"""Lower a final invoice by a credit note: a document of its own whose negative total is customer credit.

Goodwill leaves what counts as billed unchanged; a correction lowers it, so that late usage is compared with the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money, allocate, from_major
from billing_pipeline.invoicing.adjustment import FinalDocument, correction_of
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.ledger import adjustable, documents, voids
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.invoices import known_document
from billing_pipeline.operations.issued_by_hand import ByHand, next_reissue
from billing_pipeline.operations.work import Work
from billing_pipeline.rating.line import RatedLine


@dataclass(frozen=True, slots=True)
class Credited:
    """What a credit note gives back, or would.

    Attributes:
        number: of the credit note; None where nothing was written.
        credits: number of the invoice that it lowers.
        total: of the credit note, with tax; negative.
        credit: what the customer has left in all.
    """

    number: str | None
    credits: str
    customer: str
    currency: str
    total: str
    credit: str
    correction: bool
    dry_run: bool

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def credit(
    billing: Billing,
    name: str,
    amount: Decimal | None = None,
    *,
    reason: str,
    line: int | None = None,
    correction: bool = False,
    dry_run: bool = False,
) -> Credited:
    """Issue a credit note for a final invoice, at once and for good.

    Args:
        billing: the ledger.
        name: number or id of the invoice.
        amount: before tax, in major units; None: all that is left of the invoice, or of the line.
        reason: for people, kept with it.
        line: number of the line to lower, from 1; None: all lines, in proportion.
        correction: whether what counts as billed is lowered, too.
        dry_run: write nothing.

    Raises:
        Refused: no such invoice or line, not final, void, a credit note itself, or more than is left of it.
    """
    with billing.ledger.begin() as connection:
        known = known_document(connection, name)
        running = billing.calendar.period_of(billing.now(connection))
        assert running is not None, "what is final was due in a period"  # noqa: S101
        own = billing.calendar.period(known.period.isoformat())
        bucket = known.code % billing.facts.buckets
        hand = ByHand.of(billing, Work(billing, connection, own, (bucket,)), known)
        if hand.stored.kind == DocumentKind.CREDIT_NOTE:
            raise Refused(f"{hand.number} is a credit note itself.", hint="Name the invoice that it lowers.")
        (final,) = adjustable.finals_by_id(connection, [known.id])
        left = Money(sum(one.amount.minor for one in _lowered(final)), known.currency)
        left -= Money(voids.credited(connection, known.id), known.currency)
        lines = _lines(hand, _lowered(final), left, amount, line)
        view = billing.view(connection, hand.as_of.change, customers=[known.customer])
        assert view.catalog is not None, "there are documents, so there is a catalog"  # noqa: S101
        then = billing.view(connection, final.change, customers=[known.customer]).terms(known.customer)
        made = _document(hand, running.first_day, lines, then)
        number = hand.issue(made, view.terms(known.customer), view.catalog, {"credits": hand.number})
        voids.record_credit_note(connection, made.id, known.id, billing.actor, reason, correction=correction)
        hand.pass_on()
        credit_left = adjustable.credit(connection, [known.code]).get(known.code, 0)
        if dry_run:
            connection.rollback()
    return Credited(
        number=None if dry_run else number,
        credits=hand.number,
        customer=known.customer,
        currency=known.currency,
        total=str(made.total),
        credit=str(Money(credit_left, known.currency)),
        correction=correction,
        dry_run=dry_run,
    )


def _lowered(final: FinalDocument) -> list[RatedLine]:
    """The lines that a credit note can lower: all but tax and prepaid credits, which follow from them."""
    return [one for one in final.lines if one.kind not in {"tax", "credit"}]


def _lines(
    hand: ByHand, lines: Sequence[RatedLine], left: Money, amount: Decimal | None, number: int | None
) -> list[RatedLine]:
    if number is not None:
        if not 1 <= number <= len(lines):
            raise Refused(f"Invoice {hand.number} has lines 1 to {len(lines)}.", hint="See: billing invoices show")
        lines = [lines[number - 1]]
    most = min(left, Money(sum(one.amount.minor for one in lines), left.currency))
    wanted = most if amount is None else from_major(amount, left.currency)
    if not 0 < wanted.minor <= most.minor:
        raise Refused(
            f"{wanted} {left.currency} cannot be credited: {most} {left.currency} of it are left.",
            hint="Name an amount above zero that is no more than that.",
        )
    weights = [max(one.amount.minor, 0) for one in lines]
    parts = allocate(wanted, weights)
    return [
        correction_of(one, hand.stored.id, hand.work.period, -part)
        for one, part in zip(lines, parts, strict=True)
        if part.minor
    ]


def _document(hand: ByHand, period: date, lines: Sequence[RatedLine], then: Terms) -> Document:
    """The credit note, taxed as the invoice was."""
    billing, stored = hand.work.billing, hand.stored
    issue_date = billing.calendar.local_day(hand.now)
    identity = DocumentIdentity(stored.customer, DocumentKind.CREDIT_NOTE, period, issue_date)
    plan = DocumentPlan(identity, stored.currency, hand.now, frozenset())
    taken = documents.current(hand.work.connection, period, [stored.code])
    ordinal = next_reissue(taken, Document(plan, ()))
    made = Document(replace(plan, identity=replace(identity, reissue=ordinal)), tuple(lines))
    taxes = billing.taxes.lines(then.customer, made.subtotal, issue_date, then.account.rounding)
    return replace(made, lines=(*made.lines, *taxes))
