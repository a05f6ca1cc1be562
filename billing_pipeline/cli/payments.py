"""billing payments: what is handed to gateways, and where it stands."""

from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli.options import (
    Actor,
    Json,
    OnlyCustomer,
    at_work,
    example,
    group,
    open_billing,
    parsed_instant,
)
from billing_pipeline.cli.show import counts, print_json, say, table

if TYPE_CHECKING:
    from billing_pipeline.operations.payments.deliver import DeliverySummary

Status = Annotated[str | None, typer.Option("--status", help="Only those queued, submitted, paid, failed, …")]
Invoice = Annotated[str, typer.Argument(metavar="INVOICE", help="The invoice's number or id.")]
Reference = Annotated[str | None, typer.Option("--reference", help="Of the money that came in, e.g. the bank's.")]
At = Annotated[str | None, typer.Option("--at", help="When it was paid; default: now.")]
Note = Annotated[str, typer.Option("--note", help="Kept with the step.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "payments", "Hand finalized invoices to payment gateways, and see where they stand.")
    commands.command("list", epilog=example("billing payments list --status failed"))(list_)
    commands.command("history", epilog=example("billing payments history 2026-000001"))(history)
    commands.command("deliver", epilog=example("billing payments deliver"))(deliver)
    commands.command("mark-paid", epilog=example("billing payments mark-paid 2026-000001 --reference 'wire 4711'"))(
        mark_paid
    )


def list_(status: Status = None, customer: OnlyCustomer = None, as_json: Json = False, actor: Actor = None) -> None:
    """List payments by issue date and invoice number."""
    from billing_pipeline.operations.payments.payment_status import as_json as content_of
    from billing_pipeline.operations.payments.payment_status import list_payments

    contents = [content_of(payment) for payment in list_payments(open_billing(actor), status=status, customer=customer)]
    if as_json:
        print_json(contents)
        return
    names = ("number", "customer", "issue_date", "amount", "currency", "status", "gateway", "attempts", "reference")
    columns = [f">{name}" if name in {"amount", "attempts"} else name.replace("_", " ") for name in names]
    table("Payments", columns, ([content[name] for name in names] for content in contents))


def history(invoice: Invoice, as_json: Json = False, actor: Actor = None) -> None:
    """Show every step that an invoice's payment took."""
    from billing_pipeline.core.plain_json import fields_json
    from billing_pipeline.operations.payments.payment_status import payment_history

    steps = [fields_json(step) for step in payment_history(open_billing(actor), invoice)]
    if as_json:
        print_json(steps)
    else:
        table(f"Payment of {invoice}", ("status", "at", "actor", "note"), (tuple(step.values()) for step in steps))


def deliver(as_json: Json = False, actor: Actor = None) -> None:
    """Submit what is queued or to be retried; each invoice has one key, so a gateway collects it once."""
    from billing_pipeline.operations.payments.deliver import deliver as deliver_payments

    with at_work(actor) as billing:
        summary = deliver_payments(billing)
    if as_json:
        print_json(summary.to_json())
    else:
        _print(summary)


def _print(summary: "DeliverySummary") -> None:
    say(f"Payments: {counts(summary.counts)}.")
    for problem in summary.problems:
        invoice = f", invoice {problem.number}" if problem.number else ""
        say(f"{problem.gateway}{invoice}: {problem.message} {problem.hint}".rstrip())


def mark_paid(
    invoice: Invoice,
    reference: Reference = None,
    at: At = None,
    note: Note = "",
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Say that an invoice is paid. Saying it again changes nothing."""
    from billing_pipeline.operations.payments.payment_status import as_json as content_of
    from billing_pipeline.operations.payments.payment_status import mark_paid as mark

    billing = open_billing(actor)
    instant = parsed_instant(billing, at) if at else None
    marked = mark(billing, invoice, reference=reference, at=instant, note=note)
    if as_json:
        print_json(content_of(marked.payment) | {"changed": marked.changed})
    else:
        say(f"Invoice {marked.payment.number} is paid{'' if marked.changed else '; it was so before'}.")
