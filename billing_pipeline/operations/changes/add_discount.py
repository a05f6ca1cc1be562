"""Give a customer a discount: now, later, or from the start of a period that is still open for them."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from billing_pipeline.catalog import Discount
from billing_pipeline.catalog.content import from_content
from billing_pipeline.core.errors import CatalogError, Refused
from billing_pipeline.core.plain_text import instant, plain
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.operations.changes.customer_change import CustomerCatalog, CustomerChange
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class AddDiscount:
    """Give a customer a discount: one of percent and amount.

    The customer has it from its start on, after those that they have already.

    Attributes:
        customer: the customer's id.
        id: the id that the discount gets.
        percent: percent off, a decimal.
        amount: an amount off in each service period, in major units.
        start: from when
        end: until when
        periods: for so many billing periods, in place of an end.
        prices: only these prices and fees; all where there is none.
    """

    customer: str
    id: str
    percent: str | None = None
    amount: str | None = None
    start: str = NOW
    end: str | None = None
    periods: int | None = None
    prices: list[str] = field(default_factory=list)

    def customer_id(self, _billing: Billing) -> str:
        """The customer who is named. Raises Refused where two things are said at once, or nothing."""
        if (self.percent is None) is (self.amount is None):
            raise Refused("A discount is a percentage or an amount.", hint="Give one of --percent and --amount.")
        if self.end is not None and self.periods is not None:
            raise Refused("Both an end and a number of periods are given.", hint="Give one of --end and --periods.")
        return self.customer

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The new discount. Raises Refused where its terms are none, or another discount has its id."""
        discount = self._discount(recorded)
        standing = recorded.catalog.discounts.get(self.id)
        taken = ledger_catalog.owner(recorded.connection, "discount", self.id) if standing is None else None
        if taken or (standing and replace(standing, order=discount.order) != discount):
            raise Refused(
                f"There is another discount {self.id!r}, of customer {taken or self.customer}.",
                hint=f"Give another id, or end that one: billing discount end {self.id}",
            )
        return CustomerChange(discount, discount.start, _words(discount))

    def _discount(self, recorded: CustomerCatalog) -> Discount:
        """Read as a file's discount is, so that the same is refused."""
        content: dict[str, object] = {
            "id": self.id,
            "customer": self.customer,
            "start": instant(recorded.start(self.start)),
            "end": instant(recorded.start(self.end)) if self.end is not None else None,
            "percent": self.percent,
            "amount": self.amount,
            "periods": self.periods,
            "prices": list(self.prices),
        }
        try:
            discount: Discount = from_content("discount", content)
        except CatalogError as error:
            place = ".".join(str(step) for step in error.path)
            raise Refused(f"{place}: {error.message}", hint=error.hint) from None
        return discount


def _words(discount: Discount) -> str:
    words = [f"discount add {discount.customer} --id {discount.id}", *_number("percent", discount.percent)]
    words += [*_number("amount", discount.amount), f"--start {instant(discount.start)}"]
    words += [f"--end {instant(discount.end)}"] if discount.end else []
    words += [f"--periods {discount.periods}"] if discount.periods else []
    return " ".join([*words, *(f"--price {price}" for price in discount.prices)])


def _number(name: str, number: Decimal | None) -> list[str]:
    return [] if number is None else [f"--{name} {plain(number)}"]
