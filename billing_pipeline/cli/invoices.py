"""billing invoices: every document and every version of it."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from billing_pipeline.cli.corrections import add_to as add_corrections
from billing_pipeline.cli.corrections import told
from billing_pipeline.cli.options import (
    Actor,
    Details,
    Invoice,
    Json,
    OnlyCustomer,
    OnlyPeriod,
    Version,
    example,
    group,
    open_billing,
    parsed_instant,
)
from billing_pipeline.cli.render import add_to as add_render
from billing_pipeline.cli.show import print_json, print_json_list, say, table

KnownAt = Annotated[
    str | None,
    typer.Option("--as-known-at", metavar="INSTANT", help="As they were known then: versions, numbers, payments."),
]
Every = Annotated[bool, typer.Option("--all", help="Also what is not issued: without lines, or zeros alone.")]
Other = Annotated[str | None, typer.Argument(metavar="[OTHER]", help="A second invoice; without it, versions of one.")]
Old = Annotated[int | None, typer.Option("--from", help="The older version. Default: the one before --to.")]
New = Annotated[int | None, typer.Option("--to", help="The newer version. Default: the newest.")]

Content = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "invoices", "Invoices and their drafts: list, show, compare, void, credit.")
    commands.command("list", epilog=example("billing invoices list --customer acme --period 2026-01-01 --json"))(list_)
    commands.command("show", epilog=example("billing invoices show 2026-000001"))(show)
    commands.command("diff", epilog=example("billing invoices diff 2026-000001 --from 1 --to 2"))(diff)
    add_corrections(commands)
    add_render(commands)


def list_(
    customer: OnlyCustomer = None,
    period: OnlyPeriod = None,
    as_known_at: KnownAt = None,
    every: Every = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """List invoices by issue date and id, drafts of the running period included."""
    from billing_pipeline.operations.reading.invoices import read_invoices

    billing = open_billing(actor)
    instant = parsed_instant(billing, as_known_at) if as_known_at else None
    documents = read_invoices(billing, customer=customer, period=period, as_known_at=instant, empty=every)
    if as_json:
        print_json_list(documents)
        return
    columns = (
        "invoice",
        "customer",
        "kind",
        "period",
        "issued",
        "locks",
        "status",
        ">version",
        ">due",
        "",
        "payment",
        "waits for",
    )
    table("Invoices", columns, _rows(documents))


def _rows(documents: Iterable[Content]) -> Iterator[tuple[object, ...]]:
    for document in documents:
        yield (
            document["number"] or document["id"],
            *(document[name] for name in ("customer", "kind", "period", "issue_date", "lock_at", "status", "version")),
            document["amount_due"],
            document["currency"],
            document["payment_status"],
            ", ".join(wait["cause"] for wait in document["held_by"]),
        )


def show(
    invoice: Invoice, version: Version = None, details: Details = False, as_json: Json = False, actor: Actor = None
) -> None:
    """Show one invoice: its lines, its versions, and what it was computed from."""
    from billing_pipeline.operations.reading.explain import explain_invoice
    from billing_pipeline.operations.reading.invoices import show_invoice

    billing = open_billing(actor)
    document: Content = show_invoice(billing, invoice, version=version)
    explained: list[Content] = explain_invoice(billing, invoice, version=version) if details else []
    for line, reasons in zip(document["lines"], explained, strict=False):
        line["details"] = reasons["details"]
    if as_json:
        print_json(document)
        return
    state = f"{document['status']}, version {document['version']}, payment {document['payment_status']}"
    say(f"Invoice {document['number'] or document['id']}: {state}.")
    dates = f"issued {document['issue_date']}, locks {document['lock_at']}"
    say(f"{document['customer']}, {document['kind']} of {document['period']}, {dates}.")
    for wait in document["held_by"]:
        say(f"Waits: {wait['cause']}: {wait['reason']}")
    say(*told(document))
    table(
        "Lines",
        (">", "kind", "description", "service", "dimensions", ">quantity", ">amount"),
        _lines(document["lines"]),
    )
    if details:
        table("Reasons", ("line", "dimensions", "because", ">quantity", ">unit amount", ">amount"), _details(explained))
    say(f"Total {document['total']} {document['currency']}; due {document['amount_due']} {document['currency']}.")
    rows = ((kept["version"], kept["recorded_at"], _reason(kept["reason"])) for kept in document["versions"])
    if document["versions"]:
        table("Versions", (">version", "recorded", "because of"), rows)


def _lines(lines: Iterable[Content]) -> Iterator[tuple[object, ...]]:
    for number, line in enumerate(lines, start=1):
        figures = (line["quantity"], line["amount"])
        yield number, line["kind"], line["description"], _service(line), _dimensions(line), *figures


def _details(lines: Iterable[Content]) -> Iterator[tuple[object, ...]]:
    for line in lines:
        for detail in line["details"]:
            figures = (detail["quantity"], detail["unit_amount"], detail["amount"])
            yield line["description"], _dimensions(line), detail["description"], *figures


def _service(line: Content) -> str:
    service = line["service_period"]
    return f"{service['start']} – {service['end']}" if service else ""


def _dimensions(line: Content) -> str:
    return ", ".join(f"{name}={value}" for name, value in line["dimensions"].items())


def _reason(reason: Content) -> str:
    if reason.get("first"):
        return "first"
    if "reissue_of" in reason:
        return f"in the place of {reason['reissue_of']}"
    if "credits" in reason:
        return f"lowers {reason['credits']}"
    words = [f"{name} {', '.join(map(str, reason[name]))}" for name in ("batches", "changes") if reason.get(name)]
    return "; ".join(words) or ("another document became final" if reason.get("documents") else "the program")


def diff(
    invoice: Invoice,
    other: Other = None,
    old: Old = None,
    new: New = None,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Compare two versions of an invoice, or two invoices, line by line; and say why they differ."""
    from billing_pipeline.operations.reading.invoice_difference import diff_invoice

    difference: Content = diff_invoice(open_billing(actor), invoice, other, old=old, new=new)
    if as_json:
        print_json(difference)
        return
    first, second = (
        f"{state['number'] or state['id']} version {state['version']}"
        for state in (difference["old"], difference["new"])
    )
    table(
        f"{first} → {second}",
        ("", "description", "service", "dimensions", ">quantity", ">amount"),
        _changed(difference["lines"]),
    )
    total = difference["total"]
    say(f"Total {total['old']} → {total['new']} {difference['new']['currency']}.")
    for reason in _reasons(difference["reasons"]):
        say(reason)


def _changed(lines: Iterable[Content]) -> Iterator[tuple[object, ...]]:
    for line in lines:
        figures = (_arrow(line[name]["old"], line[name]["new"]) for name in ("quantity", "amount"))
        yield line["change"], line["description"], _service(line), _dimensions(line), *figures


def _arrow(old: str | None, new: str | None) -> str:
    return (old or "") if old == new else f"{old or '–'} → {new or '–'}"


def _reasons(reasons: Content) -> Iterator[str]:
    for batch in reasons.get("batches", ()):
        arrived = f"{batch['name']}, received {batch['received_at']}"
        yield f"Because of batch {batch['number']} of {batch['source']}: {arrived}."
    for change in reasons.get("catalog_changes", ()):
        changed = ", ".join(f"{entry['kind']} {entry['id']}" for entry in change["changed"])
        recorded = f"by {change['actor']} at {change['recorded_at']}"
        yield f"Because of catalog change {change['number']} {recorded}: {changed}."
    if reasons.get("documents"):
        yield "Because another document of the customer became final."
    if reasons.get("code"):
        yield f"The program differs: {reasons['code']['old']} → {reasons['code']['new']}."
