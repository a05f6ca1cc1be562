"""Void an invoice: it keeps its number and asks for nothing any more; with a reissue another takes its place.

Alone, what it billed is waived: late usage is still compared with it. With a reissue, the same is billed again as all
is known now, under a number of its own.
"""

from dataclasses import dataclass, replace

from billing_pipeline.catalog.terms import CatalogView
from billing_pipeline.core.errors import Refused
from billing_pipeline.invoicing.assemble import Keyed, key_of, lines_on
from billing_pipeline.invoicing.complete import NOTHING, Beside, complete
from billing_pipeline.invoicing.document import CARRIERS, Document, DocumentIdentity, DocumentPlan
from billing_pipeline.ledger import adjustable, voids
from billing_pipeline.ledger.database import Connection
from billing_pipeline.operations.beside import besides
from billing_pipeline.operations.compute import rated_lines
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.invoices import known_document
from billing_pipeline.operations.issued_by_hand import ByHand
from billing_pipeline.operations.metering import meter_customers
from billing_pipeline.operations.work import Work


@dataclass(frozen=True, slots=True)
class Voided:
    """What voiding did, or would do.

    Attributes:
        number: of the void invoice.
        total: what it asked for.
        reissue: number of the one in its place; None where there is none, or nothing was written.
        reissue_total: what that one asks for.
    """

    number: str
    customer: str
    currency: str
    total: str
    reissue: str | None
    reissue_total: str | None
    dry_run: bool

    def to_json(self) -> dict[str, object]:
        """As the command line prints it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


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
        known = known_document(connection, name)
        period = billing.calendar.period(known.period.isoformat())
        work = Work(billing, connection, period, (known.code % billing.facts.buckets,))
        hand = ByHand.of(billing, work, known)
        _refuse(connection, hand)
        plan = _reissued(hand) if reissue else None
        voids.record(
            connection, known.id, plan.identity if plan else None, hand.stored, hand.now, billing.actor, reason
        )
        number, total = None, None
        if plan:
            adjustable.unsettle(connection, known.id)
            made = _computed(hand, plan)
            total = str(made.total)
            number = _issue(hand, made, name)
        hand.pass_on()
        result = Voided(
            hand.number, known.customer, known.currency, str(known.total), None if dry_run else number, total, dry_run
        )
        if dry_run:
            connection.rollback()
    return result


def _refuse(connection: Connection, hand: ByHand) -> None:
    if hand.stored.kind == "credit_note":
        raise Refused(
            f"{hand.number} is a credit note.", hint="What it gave is customer credit: it stays."
        )
    status = voids.stop_payment(connection, hand.stored.id, hand.now, hand.work.billing.actor)
    if status in {"submitted", "paid"}:
        raise Refused(f"Invoice {hand.number} is {status}.", hint="Give it back with: billing invoices credit")
    if notes := voids.credit_notes(connection, hand.stored.id):
        raise Refused(f"Invoice {hand.number} is lowered by credit note {', '.join(notes)}.", hint="It stays as it is.")
    given = max(-voids.total(connection, hand.stored.id), 0)
    left = adjustable.credit(connection, [hand.stored.code]).get(hand.stored.code, 0)
    if given > left:
        raise Refused(f"Invoice {hand.number} gave customer credit that later invoices used.", hint="Void those first.")


def _reissued(hand: ByHand) -> DocumentPlan:
    stored = hand.stored
    identity: DocumentIdentity = replace(stored.identity, reissue=stored.reissue + 1)
    return DocumentPlan(identity, stored.currency, stored.lock_at, stored.covers)


def _view(hand: ByHand) -> CatalogView:
    return hand.work.billing.view(hand.work.connection, hand.as_of.change, customers=[hand.stored.customer])


def _computed(hand: ByHand, plan: DocumentPlan) -> Document:
    """The document as all is known now; it carries the adjustments that the void one did."""
    work, stored, view = hand.work, hand.stored, _view(hand)
    codes = {stored.customer: stored.code}
    terms = view.terms(stored.customer)
    metering = meter_customers(work, view, codes, hand.as_of.batch)
    rated = rated_lines(
        terms,
        work.period,
        work.billing.calendar,
        metering.segments[stored.customer],
        metering.quantities.get(stored.customer, ()),
    )
    if rated.problems:
        raise Refused(
            f"Invoice {hand.number} cannot be computed again: {'; '.join(rated.problems)}.", hint="Give it a rate."
        )
    keyed: list[Keyed] = [(key_of(terms, work.billing.calendar, line), line) for line in rated.lines]
    own = lines_on(terms, work.period, work.billing.calendar, keyed, plan)
    beside = besides(work, view, codes, hand.as_of).get(stored.customer, NOTHING)
    if plan.identity.kind not in CARRIERS:  # a document of its own for late usage carries it again
        made = [Document(plan, (*own, *beside.adjustments))]
        return complete(made, terms, work.period, Beside(credit=beside.credit), work.billing.taxes)[0]
    (found,) = complete([Document(plan, own)], terms, work.period, replace(beside, ended=()), work.billing.taxes)
    return found


def _issue(hand: ByHand, made: Document, name: str) -> str | None:
    view = _view(hand)
    assert view.catalog is not None, "there are documents, so there is a catalog"  # noqa: S101
    if not made.lines:
        raise Refused(f"Nothing is left to bill on invoice {name}.", hint="Void it without --reissue.")
    number = hand.issue(made, view.terms(hand.stored.customer), view.catalog, {"reissue_of": hand.number})
    adjustable.settle(hand.work.connection, {hand.stored.code: (made.id, hand.as_of.batch)})
    return number
