"""billing usage: raw usage in, and what became of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from billing_pipeline.cli import quarantine
from billing_pipeline.cli.options import (
    Actor,
    Customer,
    Json,
    OnlyPeriod,
    example,
    group,
    open_billing,
    pairs,
    parsed_instant,
)
from billing_pipeline.cli.show import counts, print_json, progress, say, table, tell

if TYPE_CHECKING:
    from billing_pipeline.cli.show import Step
    from billing_pipeline.operations.context import Billing
    from billing_pipeline.usage.batch import LandingProgress, LandingResult

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Paths, or URLs such as s3://bucket/usage.csv.")]
Source = Annotated[
    str | None, typer.Option("--source", help="Id of the source in the catalog; may be left out where there is one.")
]
Again = Annotated[bool, typer.Option("--again", help="Accept content, or a name, that landed before.")]
Replaces = Annotated[
    int | None, typer.Option("--replaces", metavar="BATCH", help="Stand in the place of a batch of the source.")
]
Scope = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="COLUMN=VALUE", help="What an empty delivery of a snapshot source restates."),
]
ReceivedAt = Annotated[
    str | None, typer.Option("--received-at", metavar="INSTANT", help="For history that is imported in its order.")
]
Meter = Annotated[str, typer.Argument(metavar="METER", help="The meter's id.")]
Timestamp = Annotated[str | None, typer.Option("--timestamp", metavar="INSTANT", help="Of the event.")]
Dimension = Annotated[
    list[str] | None, typer.Option("--dimension", metavar="NAME=VALUE", help="All of the event's, one option each.")
]
EventId = Annotated[str | None, typer.Option("--event-id", help="In place of a timestamp.")]
SourceId = Annotated[str, typer.Argument(metavar="SOURCE", help="Id of the source in the catalog.")]
Instant = Annotated[str, typer.Argument(metavar="INSTANT", help="Everything before it is delivered.")]


def add_to(app: typer.Typer) -> None:
    """Add the group."""
    commands = group(app, "usage", "Raw usage: land it, mend what waits in quarantine, see what became of an event.")
    commands.command("land", epilog=example("billing usage land january.jsonl --source gateway-logs"))(land)
    commands.command(
        "history",
        epilog=example("billing usage history acme compute --timestamp 2026-01-03T10:00Z --dimension region=eu"),
    )(history)
    commands.command("watermark", epilog=example("billing usage watermark gateway-logs 2026-02-01T00:00Z"))(watermark)
    quarantine.add_to(commands)


def land(
    files: Files,
    source: Source = None,
    again: Again = False,
    replaces: Replaces = None,
    scope: Scope = None,
    received_at: ReceivedAt = None,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Land files of usage, each as one batch. The same content again changes nothing, and says so."""
    from billing_pipeline.operations.landing.land import land as land_delivery

    if replaces is not None and len(files) > 1:
        raise typer.BadParameter("One file stands in the place of a batch.", param_hint="--replaces")
    billing = open_billing(actor)
    instant = parsed_instant(billing, received_at) if received_at else None
    named = source or _only_source(billing)
    results = []
    restated = pairs(scope) if scope else None
    with progress() as watch:
        for file in files:
            told = _told(watch(f"land {file.rpartition('/')[2]}"))
            landed = land_delivery(
                billing,
                named,
                file,
                again=again,
                replaces=replaces,
                scope=restated,
                received_at=instant,
                progress=told,
            )
            results.append(landed)
    if as_json:
        print_json([result.to_json() for result in results])
        return
    for result in results:
        _print(result)


def _told(step: "Step") -> "LandingProgress":
    """A landing tells rows and bytes; a bar shows bytes."""
    return lambda _rows, done, in_all: step(done, in_all)


def _only_source(billing: "Billing") -> str:
    """Where the catalog has one source, it is meant."""
    from billing_pipeline.operations.landing.land import source_ids

    sources = source_ids(billing)
    if len(sources) != 1:
        raise typer.BadParameter(f"Which source? Known: {', '.join(sources) or 'none'}.", param_hint="--source")
    return sources[0]


def _print(result: "LandingResult") -> None:
    name, batch, rows = result.name, result.batch, result.rows
    if result.already:
        say(f"{name} has landed before, as batch {batch}; nothing changed. A restatement that is meant: --again")
        return
    periods = ", ".join(period.isoformat() for period in result.periods)
    say(f"{name} is batch {batch} of {result.source}: {result.accepted} of {rows} rows accepted ({periods}).")
    if result.quarantined:
        why = counts(dict(result.reasons))
        say(f"{result.quarantined} rows wait in quarantine ({why}): billing usage quarantine list")


def history(
    customer: Customer,
    meter: Meter,
    timestamp: Timestamp = None,
    dimension: Dimension = None,
    event_id: EventId = None,
    period: OnlyPeriod = None,
    as_json: Json = False,
    actor: Actor = None,
) -> None:
    """Show every report of an event in the order received, and which one won."""
    from billing_pipeline.operations.reading.event_history import event_history

    billing = open_billing(actor)
    reports = event_history(
        billing,
        customer,
        meter,
        timestamp=parsed_instant(billing, timestamp) if timestamp else None,
        dimensions=None if dimension is None else pairs(dimension),
        event_id=event_id,
        period=period,
    )
    contents = [report.to_json() for report in reports]
    if as_json:
        print_json(contents)
        return
    names = ("timestamp", "dimensions", "value", "status", "batch", "row", "source", "name", "received_at")
    columns = [f">{name}" if name in {"value", "batch", "row"} else name.replace("_", " ") for name in names]
    table(
        f"Reports of {customer}, {meter}", columns, ([_cell(content[name]) for name in names] for content in contents)
    )


def _cell(value: object) -> object:
    return ", ".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, dict) else value


def watermark(source: SourceId, instant: Instant, as_json: Json = False, actor: Actor = None) -> None:
    """Record that a source has delivered everything before an instant. It is never taken back."""
    from billing_pipeline.core.plain_text import instant as written
    from billing_pipeline.operations.landing.watermark import record

    billing = open_billing(actor)
    reached = parsed_instant(billing, instant)
    changed = record(billing, source, reached)
    before = "" if changed else "; it had said so before"
    content = {"source": source, "watermark": written(reached), "changed": changed}
    tell(content, f"{source} has delivered everything before {written(reached)}{before}.", as_json=as_json)
