"""End a customer's subscription, or move its end."""

from dataclasses import dataclass, replace

from billing_pipeline.core.plain_text import instant
from billing_pipeline.operations.changes.customer_change import CustomerCatalog, CustomerChange, ended, owner
from billing_pipeline.operations.changes.start import NOW
from billing_pipeline.operations.context import Billing


@dataclass(frozen=True, slots=True)
class CancelSubscription:
    """End a subscription.

    What is scheduled at or after the end is dropped. One that has ended before stays as it is: who asks twice changes
    nothing. The local day that holds the end is charged, unless it begins there.

    Attributes:
        subscription: the subscription's id.
        end: until when
    """

    subscription: str
    end: str = NOW

    def customer_id(self, billing: Billing) -> str:
        """Whose subscription it is."""
        return owner(billing, "subscription", self.subscription)

    def changed(self, recorded: CustomerCatalog) -> CustomerChange:
        """The subscription with its new end. Raises Refused where it starts later."""
        standing, ends = recorded.catalog.subscriptions[self.subscription], recorded.start(self.end)
        phases = tuple(phase for phase in standing.phases if phase.start < ends) or standing.phases[:1]
        quantities = tuple(change for change in standing.quantity_changes if change.start < ends)
        cut = replace(standing, end=ends, phases=phases, quantity_changes=quantities)
        words = f"subscription cancel {self.subscription} --end {instant(ends)}"
        return ended(recorded, standing, cut, ends, standing.end, words)
