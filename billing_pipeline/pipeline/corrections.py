"""Voids and credit notes as jobs with typed config, as :mod:`changes` has the verbs that change what is owed."""

import dagster as dg
from pydantic import Field

from billing_pipeline.catalog.scalars import decimal
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.corrections.credit_note import Credited, credit
from billing_pipeline.operations.corrections.void import Voided, void
from billing_pipeline.pipeline.metadata import Metadata
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.verbs import Verb, ask, job


class VoidInvoice(Verb):
    """Void an invoice that is not paid, alone or with another in its place."""

    invoice: str = Field(description="Its number or id.")
    reason: str = Field(description="Why: kept with it, for people.")
    reissue: bool = Field(default=False, description="Issue another in its place, with all that is known now.")


class CreditInvoice(Verb):
    """Issue a credit note for an invoice."""

    invoice: str = Field(description="Its number or id.")
    reason: str = Field(description="Why: kept with it, for people.")
    amount: str | None = Field(default=None, description="Before tax, in major units. Default: all that is left.")
    line: int | None = Field(default=None, description="Only this line, from 1. Default: all, in proportion.")
    correction: bool = Field(default=False, description="It was billed wrongly: late usage is compared with the rest.")


@dg.op(out=dg.Out(dg.Nothing))
def record_void(context: dg.OpExecutionContext, config: VoidInvoice, billing: BillingResource) -> None:
    """The invoice asks for nothing any more."""

    def verb(ledger: Billing) -> Voided:
        return void(
            ledger, config.invoice, reason=config.reason, reissue=config.reissue, dry_run=config.dry_run
        )  # fmt: skip

    ask(context, config, billing, verb, _voided)


def _voided(done: Voided) -> Metadata:
    place = f", and {done.reissue or 'another'} over {done.reissue_total} takes its place" if done.reissue_total else ""
    said = f"{'Would be void' if done.dry_run else 'Void'}: {done.number} over {done.total} {done.currency}{place}"
    return {"done": said, "result": dg.MetadataValue.json(done.to_json())}


@dg.op(out=dg.Out(dg.Nothing))
def record_credit_note(context: dg.OpExecutionContext, config: CreditInvoice, billing: BillingResource) -> None:
    """The customer's next invoices are lower."""

    def verb(ledger: Billing) -> Credited:
        amount = None if config.amount is None else decimal(config.amount)
        return credit(
            ledger, config.invoice, amount, reason=config.reason, line=config.line, correction=config.correction,
            dry_run=config.dry_run,
        )  # fmt: skip

    ask(context, config, billing, verb, _credited)


def _credited(done: Credited) -> Metadata:
    said = f"{'Would lower' if done.dry_run else 'Lowers'} {done.credits} by {done.total[1:]} {done.currency}"
    return {"done": said, "result": dg.MetadataValue.json(done.to_json())}


CORRECTIONS: tuple[dg.JobDefinition, ...] = (
    job("void_invoice", record_void, VoidInvoice),
    job("credit_invoice", record_credit_note, CreditInvoice),
)
