"""billing invoices void, credit: what was sent is taken back, issued again, or lowered."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from billing_pipeline.cli.options import Actor, Invoice, Json, example, open_billing
from billing_pipeline.cli.show import print_json, say

Amount = Annotated[
    str | None,
    typer.Argument(metavar="[AMOUNT]", help="Before tax, in major units. Default: all that is left of it."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why: kept with it, for people.")]
Reissue = Annotated[bool, typer.Option("--reissue", help="Issue another in its place, with all that is known now.")]
Line = Annotated[
    int | None,
    typer.Option(
        "--line", metavar="N", help="Only this line, by its number in invoices show. Default: all, in proportion."
    ),
]
Correction = Annotated[
    bool,
    typer.Option(
        "--correction",
        help="It was billed wrongly: late usage is compared with the rest. Default: goodwill, which changes nothing.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it does; change nothing.")]


def add_to(group: typer.Typer) -> None:
    """Add the commands."""
    group.command(
        "void",
        epilog=example(
            "billing invoices void 2026-000001 --reason 'sent to the wrong company'",
            "billing invoices void 2026-000001 --reissue --reason 'wrong address' --dry-run",
        ),
    )(void)
    group.command(
        "credit",
        epilog=example(
            "billing invoices credit 2026-000001 20 --reason 'an hour of downtime'",
            "billing invoices credit 2026-000001 --line 2 --correction --reason 'counted twice'",
        ),
    )(credit)


def void(
    invoice: Invoice,
    reason: Reason,
    reissue: Reissue = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Void an invoice that is not paid: it keeps its number and asks for nothing; what it billed is waived.

    With --reissue another takes its place, under the next number, with all usage and terms known now.
    """
    from billing_pipeline.operations.corrections.void import void as void_invoice

    done = void_invoice(open_billing(actor), invoice, reason=reason, reissue=reissue, dry_run=dry_run)
    if as_json:
        print_json(done.to_json())
        return
    say(f"Invoice {done.number} of {done.customer} over {done.total} {done.currency} {_is(dry_run)} void.")
    if done.reissue_total is not None:
        place = f"invoice {done.reissue}" if done.reissue else "an invoice" if dry_run else "nothing is issued:"
        say(f"In its place: {place} over {done.reissue_total} {done.currency}.")


def credit(
    invoice: Invoice,
    reason: Reason,
    amount: Amount = None,
    line: Line = None,
    correction: Correction = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Issue a credit note for an invoice: the customer's next invoices are lower by it."""
    from billing_pipeline.catalog.scalars import decimal
    from billing_pipeline.operations.corrections.credit_note import credit as credit_invoice

    before_tax = None if amount is None else decimal(amount)
    billing = open_billing(actor)
    done = credit_invoice(
        billing, invoice, before_tax, reason=reason, line=line, correction=correction, dry_run=dry_run
    )
    if as_json:
        print_json(done.to_json())
        return
    note = f"{'Correction' if correction else 'Goodwill'}: {f'credit note {done.number}' if done.number else 'it'}"
    say(
        f"{note} {'would lower' if dry_run else 'lowers'} invoice {done.credits} by {done.total[1:]} {done.currency}.",
        f"{done.customer} {'would have' if dry_run else 'has'} a credit of {done.credit} {done.currency}.",
    )


def _is(dry_run: bool) -> str:
    return "would be" if dry_run else "is"


def told(invoice: dict[str, Any]) -> Iterator[str]:
    """What invoices show says of an invoice's end: void, in whose place, lowered by what."""
    if void := invoice["void"]:
        place = f", replaced by {void['replaced_by']}" if void["replaced_by"] else ""
        yield f"Void since {void['at']} by {void['actor']}{place}: {void['reason']}"
    if invoice["replaces"]:
        yield f"In the place of {invoice['replaces']}."
    if note := invoice["credits"]:
        yield f"Lowers {note['credits']}, {_why(note)}"
    for note in invoice["credit_notes"]:
        yield f"Lowered by {note['number']} over {note['total']} {invoice['currency']}, {_why(note)}"


def _why(note: dict[str, Any]) -> str:
    return f"{'a correction' if note['correction'] else 'goodwill'} by {note['actor']}: {note['reason']}"
