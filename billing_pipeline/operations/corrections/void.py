"""Void invoices: each keeps its number and asks for nothing any more; with a reissue another takes its place.

Alone, what it billed is waived: late usage is still compared with it. With a reissue, the same is billed again as all
is known now, under a number of its own.
"""

from dataclasses import dataclass, replace

from billing_pipeline.core.errors import Refused
from billing_pipeline.core.money import Money
from billing_pipeline.core.plain_json import JsonFields
from billing_pipeline.invoicing.adjustment import FinalDocument
from billing_pipeline.invoicing.assemble import documents
from billing_pipeline.invoicing.complete import SETTLED, Unsettled, complete, with_adjustments
from billing_pipeline.invoicing.document import Document, DocumentIdentity, DocumentKind, DocumentPlan
from billing_pipeline.invoicing.document_plans import fee_home, fees_in
from billing_pipeline.invoicing.on_demand import window_document
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import customer_credit, finalization, late_usage, on_demand, payments, voids
from billing_pipeline.operations.closing.measure_customers import meter_customers
from billing_pipeline.operations.closing.recompute import rated_lines
from billing_pipeline.operations.closing.unsettled import CutOff, Unwritten, find_unsettled
from billing_pipeline.operations.closing.versions import CutOffSoFar, newest_batches
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.corrections.by_hand import ByHand
from billing_pipeline.operations.reading.invoices import known_document
from billing_pipeline.rating.line import LineKind


@dataclass(frozen=True, slots=True)
class Voided(JsonFields):
    """A void invoice: what voiding did, or would do.

    Attributes:
        number: of the void invoice.
        total: what it asked for.
        reissue: number of the one in its place; None where there is none, nothing was left to bill on it, or nothing
            was written.
        reissue_total: what that one asks for; None where there is none.
    """

    number: str
    customer: str
    currency: str
    total: str
    reissue: str | None
    reissue_total: str | None
    dry_run: bool


def void(billing: Billing, name: str, *, reason: str, reissue: bool = False, dry_run: bool = False) -> Voided:
    """Void a final invoice, in one transaction with its reissue.

    Args:
        billing: the ledger.
        name: number or id.
        reason: for people, kept with it.
        reissue: whether another takes its place, computed as all is known now.
        dry_run: write nothing.

    Raises:
        Refused: no such invoice, not final, void already, paid or on its way, credited, or its credit is used.
    """
    with billing.ledger.begin() as connection:
        hand = ByHand.of(billing, connection, name)
        _refuse(connection, hand)
        plan = _reissued(hand) if reissue else None
        waiting = hand.cut_off() if plan else CutOffSoFar(list)  # while the void one is final, as it was for them
        voids.record(connection, hand.stored, plan.identity if plan else None, hand.now, billing.actor, reason)
        number, total = _reissue(hand, plan, waiting) if plan else (None, None)
        hand.pass_on()
        if dry_run:
            connection.rollback()
    return Voided(
        number=hand.number,
        customer=hand.stored.customer,
        currency=hand.stored.currency,
        total=str(hand.total),
        reissue=None if dry_run else number,
        reissue_total=None if total is None else str(total),
        dry_run=dry_run,
    )


def _refuse(connection: Connection, hand: ByHand) -> None:
    if hand.stored.identity.kind == DocumentKind.CREDIT_NOTE:
        raise Refused(f"{hand.number} is a credit note.", hint="What it gave is customer credit: it stays.")
    if status := payments.stop(connection, hand.stored.id, hand.now, hand.work.billing.actor):
        raise Refused(f"Invoice {hand.number} is {status}.", hint="Give it back with: billing invoices credit")
    if notes := voids.credit_notes(connection, hand.stored.id):
        raise Refused(f"Invoice {hand.number} is lowered by credit note {', '.join(notes)}.", hint="It stays as it is.")
    left = customer_credit.credit(connection, [hand.stored.code]).get(hand.stored.code, 0)
    if -hand.total.minor > max(left, 0):
        raise Refused(f"Invoice {hand.number} gave customer credit that later invoices used.", hint="Void those first.")


def _reissued(hand: ByHand) -> DocumentPlan:
    """The same document once more, with fees that later changes put on its date: so far adjustments bill them."""
    work, stored = hand.work, hand.stored
    terms = hand.terms(hand.as_of.change)
    if stored.identity.kind == DocumentKind.ON_DEMAND:  # what is on it is said by its window
        identity = replace(stored.identity, reissue=stored.identity.reissue + 1)
        return DocumentPlan(identity, stored.currency, stored.lock_at, stored.covers)
    billed = finalization.billed(work.connection, work.first_day, [stored.code])[stored.code]
    date_of: DocumentIdentity = replace(stored.identity, reissue=0)
    fees = {
        due.key
        for due in fees_in(terms, work.period, work.billing.calendar)
        if fee_home(due, terms, work.period, work.billing.calendar) == date_of and due.key not in billed.keys
    }
    identity = replace(date_of, reissue=stored.identity.reissue + 1)
    return DocumentPlan(identity, stored.currency, stored.lock_at, stored.covers | fees)


def _computed(hand: ByHand, plan: DocumentPlan, waiting: CutOff) -> Document:
    """The document as all is known now; it carries the adjustments that the void one did.

    What a document carries that was cut off before, and waits for a run or is held, is none of this one's.
    """
    work, stored, view = hand.work, hand.stored, hand.view(hand.as_of.change)
    codes = {stored.customer: stored.code}
    terms = view.terms(stored.customer)
    metering = meter_customers(work, view, codes, hand.as_of.batch)
    quantities = metering.quantities.get(stored.customer, ())
    rated = rated_lines(work, terms, metering.segments[stored.customer], quantities)

    def unsettled_with(cut_off: CutOff) -> Unsettled:
        unwritten = Unwritten(cut_off)
        return find_unsettled(work, view, codes, hand.as_of, unwritten=unwritten).get(stored.customer, SETTLED)

    final = unsettled_with(waiting).final
    billed = finalization.billed(work.connection, work.first_day, [stored.code])[stored.code]
    own, *_ = documents(terms, work.period, work.billing.calendar, rated.lines, billed, final, plan)
    # What others would say now, they say beside this one: it has its part of the allowances that it shares with them.
    as_final = FinalDocument(plan, own.lines, (), hand.as_of.batch, hand.as_of.change, terms.fingerprint, late=False)
    place = stored.code, work.first_day
    unsettled = unsettled_with({**waiting, place: [*waiting.get(place, ()), as_final]})
    if problems := [*rated.problems, *unsettled.problems]:
        raise Refused(f"Invoice {hand.number} cannot be computed again: {'; '.join(problems)}.", hint="Give it a rate.")
    corrected = with_adjustments(own, unsettled.adjustments)
    # It is issued now: it comes before all that is not final, also for the customer's credit.
    credit = Unsettled(credit=unsettled.credit)
    (document,) = complete([corrected], terms, work.period, credit, work.billing.taxes)
    return document


def _window_again(hand: ByHand, plan: DocumentPlan) -> Document:
    """The document of a window with the same usage, and discounts, tax and credit as all is known now."""
    work, code = hand.work, hand.stored.code
    terms, period = hand.terms(hand.as_of.change), work.period
    voided = known_document(work.connection, str(hand.stored.id))
    usage = [line for line in voided.lines if line.kind == LineKind.USAGE]
    used = on_demand.discounts_used(work.connection, [code], period.first_day)[code]
    return window_document(
        plan,
        usage,
        terms,
        work.billing.calendar,
        period,
        work.billing.taxes,
        used=used,
        credit=customer_credit.credit(work.connection, [code]).get(code, 0),
    )


def _reissue(hand: ByHand, plan: DocumentPlan, waiting: CutOff) -> tuple[str | None, Money]:
    """Issue the document once more, with the late usage that the void one carried; returns its number and total."""
    connection, stored = hand.work.connection, hand.stored
    if stored.identity.kind == DocumentKind.ON_DEMAND:
        document = _window_again(hand, plan)
        return hand.issue(document, {"reissue_of": hand.number}), document.total
    late_usage.mark_not_carried(connection, stored.id)
    document = _computed(hand, plan, waiting)
    number = hand.issue(document, {"reissue_of": hand.number})
    carrier = {stored.code: (document.id, hand.as_of.batch)}
    late_usage.mark_carried(connection, carrier, newest_batches(waiting))
    return number, document.total
