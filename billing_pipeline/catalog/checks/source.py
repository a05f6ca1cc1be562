"""Sources: can their files be understood?"""

from collections.abc import Iterator

from billing_pipeline.catalog.checks.check_context import CheckContext, one_of
from billing_pipeline.catalog.meter import VALUELESS_AGGREGATIONS
from billing_pipeline.catalog.source import SELF_DESCRIBING_FORMATS, Constant, EventMapping, Source
from billing_pipeline.core.errors import CatalogError


def check_source(source: Source, context: CheckContext) -> Iterator[CatalogError]:
    """Format, mapping, scope and deadline."""
    yield from one_of("format", source.format, context.can.source_formats, ("format",))
    if source.event is not None:
        yield from _check_mapping(source, source.event, context)
    if source.mode == "snapshot" and not source.scope:
        hint = "Name its account and period columns: scope: [SubAccountId, BillingPeriodStart]."
        yield CatalogError("A snapshot source must say what a delivery restates.", hint=hint, path=("scope",))
    if source.mode == "event" and source.scope:
        yield CatalogError("Only a snapshot source has a scope.", hint="Add mode: snapshot.", path=("scope",))
    if source.mode == "snapshot" and source.repeats is not None:
        hint = "Remove it, or map the column that tells the rows apart as a dimension."
        yield CatalogError(
            "A snapshot states each event once: a delivery that repeats one is refused.", hint=hint, path=("repeats",)
        )
    if source.deadline is not None and not source.required:
        hint = "Add required: true, or remove it."
        yield CatalogError(
            "Nothing waits for this source, so its deadline means nothing.", hint=hint, path=("deadline",)
        )


def _check_mapping(source: Source, event: EventMapping, context: CheckContext) -> Iterator[CatalogError]:
    for kind, given in (("customer", event.customer), ("meter", event.meter)):
        if isinstance(given, Constant):
            yield from context.reference(kind, given.value, ("event", kind, "value"))
    if event.retract is not None and isinstance(event.meter, Constant):
        meter = context.catalog.meters.get(event.meter.value)
        if meter is not None and meter.deduplicate_by == "none":
            message = f"Each row of the meter {meter.id!r} is an event of its own: there is none to take back."
            hint = "Remove it, and send what is taken back as a value below zero."
            yield CatalogError(message, hint=hint, path=("event", "retract"))
    described = source.format in SELF_DESCRIBING_FORMATS
    if event.value is None and not described and not _only_counts(event, context):
        hint = "Name the column that says how much was used, or {value: 1}."
        yield CatalogError("The value is missing.", hint=hint, path=("event", "value"))


def _only_counts(event: EventMapping, context: CheckContext) -> bool:
    """Whether the source feeds one meter, and that one does not look at values."""
    meter = context.catalog.meters.get(event.meter.value) if isinstance(event.meter, Constant) else None
    return meter is not None and meter.aggregation in VALUELESS_AGGREGATIONS
