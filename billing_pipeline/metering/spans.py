"""What lasts: cut to the stretch of time that is asked for, and weighed by its length in whole microseconds."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import ibis
import ibis.expr.types as ir

from billing_pipeline.catalog.meter import Meter
from billing_pipeline.core.quotient import divide
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, WHOLE, Spans

_ASKED = ["customer", "meter", "cut"]


def clipped(spans: ir.Table, questions: ir.Table, now: datetime | None, aggregation: Spans) -> ir.Table:
    """A row per question and span that counts in it, with its length there.

    A span counts where it starts, even if it has no length, and wherever it lasts and weighs something: a level of 0
    says nothing in the periods after its own. What nothing has ended lasts until now.

    Args:
        spans: as an aggregation gives them, weights multiplied.
        questions: number, customer, meter, cut, start, end.
        now: nothing is known to last beyond it; None where all that is asked is in the past.
        aggregation: of the spans.

    Returns:
        The spans' columns, number, ``micros``; ``open``, whether what should end it is missing; and ``grows``, whether
        it will be longer later.
    """
    asked = questions.select("number", *_ASKED, "start", "end")
    near = [spans.timestamp < asked.end, spans.until.isnull() | (spans.until > asked.start)]
    begun = [spans.timestamp < asked.end, spans.timestamp >= asked.start]
    joined = spans.join(asked, [*_ASKED, near[0], near[1] | begun[1]])
    latest = joined.end if now is None else ibis.least(joined.end, ibis.literal(now, "timestamp('UTC')"))
    until = joined.until.fill_null(latest)
    finish = ibis.least(joined.end, until, joined.ends_by.fill_null(joined.end))
    begin = ibis.greatest(joined.start, joined.timestamp)
    endless = joined.until.isnull() & (joined.ends_by > latest).fill_null(True)  # noqa: FBT003 - ibis has no other way
    lasting = joined.mutate(
        micros=ibis.greatest(finish.delta(begin, unit="us"), 0).cast("int64"),
        open=endless if aggregation.provisional else ibis.literal(False),  # noqa: FBT003
        grows=endless & (latest < joined.end),
    )
    starts_here = lasting.timestamp >= lasting.start
    lasts_here = (lasting.micros > 0) | (lasting.grows & (lasting.timestamp < lasting.start))
    return lasting.filter(starts_here | (lasts_here & (lasting.value != 0)))


def weighed(spans: ir.Table) -> dict[str, ir.Value]:
    """The sum of value × length: the whole parts of the values and the rest apart, so that neither overflows."""
    whole = spans.value.cast(WHOLE)
    rest = (spans.value.cast(PRODUCT) - whole.cast(PRODUCT)).cast(PRODUCT)
    return {
        "amount": (whole * spans.micros).cast(WHOLE).sum().cast(WHOLE),
        "rest": (rest * spans.micros).cast(PRODUCT).sum().cast(PRODUCT),
        "events": spans.count(),
        "open": spans.open.sum(),
        "grows": spans.grows.any(),
    }


def in_units(amount: Decimal, rest: Decimal, aggregation: Spans, meter: Meter) -> Decimal:
    """The quantity: value × microseconds in the meter's unit of time."""
    exact = (Fraction(amount) + Fraction(rest)) / aggregation.unit(meter)
    return divide(Decimal(exact.numerator), Decimal(exact.denominator))
