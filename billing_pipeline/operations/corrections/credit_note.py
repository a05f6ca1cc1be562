"""Credit notes lower a final invoice: each is a document of its own whose negative total is customer credit.

Goodwill leaves what counts as billed unchanged; a correction lowers it, so that late usage is compared with the rest.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from billing_pipeline.catalog.terms import Terms
from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money, allocate, from_major
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.invoicing.adjustment import FinalDocument, correction_of
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.ledger.documents import customer_credit, final_documents, states, voids
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.corrections.by_hand import ByHand, next_reissue
from billing_pipeline.rating.line import RatedLine

_FOLLOWING = frozenset({"tax", "credit"})  # they follow from the lines that a credit note can lower


@dataclass(frozen=True, slots=True)
class Credited(JsonFields):
    """A credit note: what it gives back, or would.

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
        hand = ByHand.of(billing, connection, name)
        if hand.stored.identity.kind == DocumentKind.CREDIT_NOTE:
            raise Refused(f"{hand.number} is a credit note itself.", hint="Name the invoice that it lowers.")
        (final,) = final_documents.finals_by_id(connection, [hand.stored.id])
        left = _left(hand, final)
        parts = _parts(hand, final, left, amount, line)
        lines = [_lowering(hand, line_, -part) for line_, part in zip(final.lines, parts, strict=True) if part.minor]
        note = _document(hand, lines, sum(amount.minor for amount in left), hand.terms(final.change))
        number = hand.issue(note, {"credits": hand.number})
        voids.record_credit_note(connection, note.id, hand.stored.id, billing.actor, reason, correction=correction)
        hand.pass_on()
        code = hand.stored.code
        credit_left = customer_credit.credit(connection, [code]).get(code, 0)
        if dry_run:
            connection.rollback()
    return Credited(
        number=None if dry_run else number,
        credits=hand.number,
        customer=hand.stored.customer,
        currency=hand.stored.currency,
        total=str(note.total),
        credit=str(Money(credit_left, hand.stored.currency)),
        correction=correction,
        dry_run=dry_run,
    )


def _lowering(hand: ByHand, line: RatedLine, amount: Money) -> RatedLine:
    return correction_of(line, hand.stored.id, hand.work.period, amount)


def _left(hand: ByHand, final: FinalDocument) -> list[Money]:
    """What earlier credit notes left of each line of the invoice; nothing of those that follow from others."""
    given: dict[tuple[object, ...], int] = defaultdict(int)
    for line in final_documents.credited_lines(hand.work.connection, hand.stored.id):
        given[_said(line)] -= line.amount.minor
    left = []
    for line in final.lines:
        said = _said(_lowering(hand, line, line.amount))
        # Lines that say the same were lowered together: each takes what is its own, the first one first.
        lowest, highest = sorted((0, line.amount.minor))
        taken = min(max(given[said], lowest), highest)
        given[said] -= taken
        left.append(Money(0 if line.kind in _FOLLOWING else line.amount.minor - taken, line.amount.currency))
    return left


def _said(line: RatedLine) -> tuple[object, ...]:
    """What a line of a credit note says beside its amount."""
    return (
        line.kind, line.subscription, line.plan, line.plan_version, line.price, line.description, line.service_start,
        line.service_end, tuple(sorted(line.dimensions.items())), line.phase_start, line.adjusts, line.adjusts_document,
    )  # fmt: skip


def _parts(
    hand: ByHand, final: FinalDocument, left: Sequence[Money], amount: Decimal | None, number: int | None
) -> list[Money]:
    """How much of each line is given back; all that is left exactly as it stands, else in proportion."""
    lowered = list(left)
    if number is not None:
        if not 1 <= number <= len(left) or final.lines[number - 1].kind in _FOLLOWING:
            hint = "See: billing invoices show"
            raise Refused(f"Invoice {hand.number} has no line {number} that can be lowered.", hint=hint)
        lowered = [part if place == number else replace(part, minor=0) for place, part in enumerate(left, start=1)]
    currency = hand.stored.currency
    in_all = sum(part.minor for part in lowered)
    # A discount lowers what is left: of a line alone no more can be given back than of the whole invoice.
    most = Money(min(in_all, sum(part.minor for part in left)), currency)
    total = most if amount is None else from_major(amount, currency)
    if not 0 < total.minor <= most.minor:
        raise Refused(
            f"{total} {currency} cannot be credited: {Money(max(most.minor, 0), currency)} {currency} are left.",
            hint="Name an amount above zero that is no more than that.",
        )
    if total.minor == in_all:
        return lowered
    return list(allocate(total, [max(part.minor, 0) for part in lowered]))


def _document(hand: ByHand, lines: Sequence[RatedLine], left: int, then: Terms) -> Document:
    """The credit note, taxed as the invoice was."""
    billing, stored = hand.work.billing, hand.stored
    issue_date = billing.calendar.local_day(hand.now)
    identity = DocumentIdentity(stored.customer, DocumentKind.CREDIT_NOTE, hand.running, issue_date)
    taken = states.current(hand.work.connection, hand.running, [stored.code])
    identity = replace(identity, reissue=next_reissue(taken.values(), identity))
    note = Document(DocumentPlan(identity, stored.currency, hand.now, frozenset()), tuple(lines))
    before = Money(left, stored.currency)
    return replace(note, lines=(*lines, *_taxes(hand, then, before, before + note.subtotal)))


def _taxes(hand: ByHand, then: Terms, before: Money, after: Money) -> Iterator[RatedLine]:
    """By how much the taxes fall as what is left falls: credit notes of a whole invoice give all of its tax back."""

    def due(taxable: Money) -> list[RatedLine]:
        billing, issued = hand.work.billing, hand.stored.identity.issue_date
        return billing.taxes.lines(then.customer, taxable, issued, then.account.rounding)

    rest = {line.description: line.amount for line in due(after)}
    for line in due(before):
        yield line._replace(amount=rest.get(line.description, replace(line.amount, minor=0)) - line.amount)
