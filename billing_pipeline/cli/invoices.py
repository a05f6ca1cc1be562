"""billing invoices: every document and every version of it."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from billing_pipeline.cli.corrections import add_to as add_corrections
from billing_pipeline.cli.corrections import told
from billing_pipeline.cli.options import Actor, Json, example, group, open_billing, parsed_instant
from billing_pipeline.cli.render import add_to as add_render
from billing_pipeline.cli.show import print_json, print_json_list, say, table

Customer = Annotated[str | None, typer.Option("--customer", help="Only this customer's.")]
OfPeriod = Annotated[str | None, typer.Option("--period", help="Only this period's, by its first day.")]
KnownAt = Annotated[
    str | None,
    typer.Option("--as-known-at", metavar="INSTANT", help="As they were known then: versions, numbers, payments."),
]
Every = Annotated[bool, typer.Option("--all", help="Also documents without lines, which are not issued.")]
Invoice = Annotated[str, typer.Argument(metavar="INVOICE", help="Number or id.")]
Other = Annotated[str | None, typer.Argument(metavar="[OTHER]", help="A second invoice; without it, versions of one.")]
Version = Annotated[int | None, typer.Option("--version", help="Default: the newest.")]
Details = Annotated[
    bool, typer.Option("--details", help="With the reasoning of each line: tiers, packages, free units.")
]
Old = Annotated[int | None, typer.Option("--from", help="The older version. Default: the one before --to.")]
New = Annotated[int | None, typer.Option("--to", help="The newer version. Default: the newest.")]

Found = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    made = group(app, "invoices", "Invoices and their drafts: list, show, compare, void, credit.")
    made.command("list", epilog=example("billing invoices list --customer acme --period 2026-01-01 --json"))(list_)
    made.command("show", epilog=example("billing invoices show 2026-000001"))(show)
    made.command("diff", epilog=example("billing invoices diff 2026-000001 --from 1 --to 2"))(diff)
    add_corrections(made)
    add_render(made)


def list_(
    customer: Customer = None,
    period: OfPeriod = None,
    as_known_at: KnownAt = None,
    every: Every = False,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """List invoices by issue date and id, drafts of the running period included."""
    from billing_pipeline.operations.reading.invoices import read_invoices

    billing = open_billing(actor)
    instant = parsed_instant(billing, as_known_at) if as_known_at else None
    found = read_invoices(billing, customer=customer, period=period, as_known_at=instant, empty=every)
    if as_json:
        print_json_list(found)
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
    table("Invoices", columns, _rows(found))


def _rows(found: Iterable[Found]) -> Iterator[tuple[object, ...]]:
    for one in found:
        yield (
            one["number"] or one["id"],
            *(one[name] for name in ("customer", "kind", "period", "issue_date", "lock_at", "status", "version")),
            one["amount_due"],
            one["currency"],
            one["payment_status"],
            ", ".join(wait["cause"] for wait in one["held_by"]),
        )


def show(
    invoice: Invoice, version: Version = None, details: Details = False, as_json: Json = False, actor: Actor = None
) -> None:
    """Show one invoice: its lines, its versions, and what it was computed from."""
    from billing_pipeline.operations.reading.explain import explain_invoice
    from billing_pipeline.operations.reading.invoices import show_invoice

    billing = open_billing(actor)
    one: Found = show_invoice(billing, invoice, version=version)
    explained: list[Found] = explain_invoice(billing, invoice, version=version) if details else []
    for line, reasons in zip(one["lines"], explained, strict=False):
        line["details"] = reasons["details"]
    if as_json:
        print_json(one)
        return
    state = f"{one['status']}, version {one['version']}, payment {one['payment_status']}"
    say(f"Invoice {one['number'] or one['id']}: {state}.")
    say(f"{one['customer']}, {one['kind']} of {one['period']}, issued {one['issue_date']}, locks {one['lock_at']}.")
    for wait in one["held_by"]:
        say(f"Waits: {wait['cause']}: {wait['reason']}")
    say(*told(one))
    table("Lines", (">", "kind", "description", "service", "dimensions", ">quantity", ">amount"), _lines(one["lines"]))
    if details:
        table("Reasons", ("line", "dimensions", "because", ">quantity", ">unit amount", ">amount"), _details(explained))
    say(f"Total {one['total']} {one['currency']}; due {one['amount_due']} {one['currency']}.")
    rows = ((kept["version"], kept["recorded_at"], _reason(kept["reason"])) for kept in one["versions"])
    if one["versions"]:
        table("Versions", (">version", "recorded", "because of"), rows)


def _lines(lines: Iterable[Found]) -> Iterator[tuple[object, ...]]:
    for number, line in enumerate(lines, start=1):
        figures = (line["quantity"], line["amount"])
        yield number, line["kind"], line["description"], _service(line), _dimensions(line), *figures


def _details(lines: Iterable[Found]) -> Iterator[tuple[object, ...]]:
    for line in lines:
        for one in line["details"]:
            figures = (one["quantity"], one["unit_amount"], one["amount"])
            yield line["description"], _dimensions(line), one["description"], *figures


def _service(line: Found) -> str:
    service = line["service_period"]
    return f"{service['start']} – {service['end']}" if service else ""


def _dimensions(line: Found) -> str:
    return ", ".join(f"{name}={value}" for name, value in line["dimensions"].items())


def _reason(reason: Found) -> str:
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

    found: Found = diff_invoice(open_billing(actor), invoice, other, old=old, new=new)
    if as_json:
        print_json(found)
        return
    first, second = (f"{one['number'] or one['id']} version {one['version']}" for one in (found["old"], found["new"]))
    table(
        f"{first} → {second}",
        ("", "description", "service", "dimensions", ">quantity", ">amount"),
        _changed(found["lines"]),
    )
    total = found["total"]
    say(f"Total {total['old']} → {total['new']} {found['new']['currency']}.")
    for reason in _reasons(found["reasons"]):
        say(reason)


def _changed(lines: Iterable[Found]) -> Iterator[tuple[object, ...]]:
    for line in lines:
        figures = (_arrow(line[name]["old"], line[name]["new"]) for name in ("quantity", "amount"))
        yield line["change"], line["description"], _service(line), _dimensions(line), *figures


def _arrow(old: str | None, new: str | None) -> str:
    return (old or "") if old == new else f"{old or '–'} → {new or '–'}"


def _reasons(reasons: Found) -> Iterator[str]:
    for one in reasons.get("batches", ()):
        yield f"Because of batch {one['number']} of {one['source']}: {one['name']}, received {one['received_at']}."
    for one in reasons.get("catalog_changes", ()):
        changed = ", ".join(f"{entry['kind']} {entry['id']}" for entry in one["changed"])
        yield f"Because of catalog change {one['number']} by {one['actor']} at {one['recorded_at']}: {changed}."
    if reasons.get("documents"):
        yield "Because another document of the customer became final."
    if reasons.get("code"):
        yield f"The program differs: {reasons['code']['old']} → {reasons['code']['new']}."
