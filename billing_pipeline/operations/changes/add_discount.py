"""Give a customer a discount: now, later, or from the start of a period that is still open for them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from billing_pipeline.catalog import Discount
from billing_pipeline.catalog.content import from_content
from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.plain_text import instant, maybe_plain
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.changes.customer_change import Changed, Theirs, Wanted, change_customer
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class DiscountTerms:
    """What a discount takes off, and for how long.

    Attributes:
        percent, amount: one of them, a decimal; an amount is taken off in each service period.
        start: as :func:`parse_start` reads it.
        end: the same, or None.
        periods: for how many billing periods it holds, in place of an end.
        prices: ids of the prices and fees that it lowers; all where there is none.
    """

    percent: str | None = None
    amount: str | None = None
    start: str = NOW
    end: str | None = None
    periods: int | None = None
    prices: Sequence[str] = ()

    def require_one_of_each(self) -> None:
        """Raises Refused where two things are said at once, or nothing."""
        if (self.percent is None) is (self.amount is None):
            raise Refused("A discount is a percentage or an amount.", hint="Give one of --percent and --amount.")
        if self.end is not None and self.periods is not None:
            raise Refused("Both an end and a number of periods are given.", hint="Give one of --end and --periods.")


def add_discount(
    billing: Billing, customer: str, discount: str, terms: DiscountTerms, *, dry_run: bool = False
) -> Changed:
    """The customer has the discount from its start on, after those that they have already.

    Args:
        billing: names the actor.
        customer: id.
        discount: the id that it gets.
        terms: what it takes off.
        dry_run: show it and record nothing.

    Raises:
        Refused: the terms are none, the id is taken by another discount, or the period is locked for the customer.
    """
    terms.require_one_of_each()

    def want(theirs: Theirs) -> Wanted:
        made = _made(theirs, discount, terms)
        standing = theirs.catalog.discounts.get(discount)
        taken = ledger_catalog.owner(theirs.connection, "discount", discount) if standing is None else None
        if taken or (standing and replace(standing, order=made.order) != made):
            raise Refused(
                f"There is another discount {discount!r}, of customer {taken or customer}.",
                hint=f"Give another id, or end that one: billing discount end {discount}",
            )
        return Wanted(made, made.start, _words(made))

    return change_customer(billing, customer, want, dry_run=dry_run)


def _made(theirs: Theirs, discount: str, terms: DiscountTerms) -> Discount:
    """Read as a file's discount is, so that the same is refused."""
    content: dict[str, object] = {
        "id": discount,
        "customer": theirs.customer.id,
        "start": instant(theirs.start(terms.start)),
        "end": instant(theirs.start(terms.end)) if terms.end is not None else None,
        "percent": terms.percent,
        "amount": terms.amount,
        "periods": terms.periods,
        "prices": list(terms.prices),
    }
    try:
        made: Discount = from_content("discount", content)
    except CatalogError as error:
        field = ".".join(str(step) for step in error.path)
        raise Refused(f"{field}: {error.message}", hint=error.hint) from None
    return made


def _words(made: Discount) -> str:
    words = [f"discount add {made.customer} --id {made.id}", *_numbers("percent", made.percent)]
    words += [*_numbers("amount", made.amount), f"--start {instant(made.start)}"]
    words += [f"--end {instant(made.end)}"] if made.end else []
    words += [f"--periods {made.periods}"] if made.periods else []
    return " ".join([*words, *(f"--price {price}" for price in made.prices)])


def _numbers(name: str, number: Decimal | None) -> list[str]:
    return [] if number is None else [f"--{name} {maybe_plain(number)}"]
