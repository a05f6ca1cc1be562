"""Spans of usage that lasts, levels and sessions: cut to the stretch that is measured, weighed by their length there.

A span is a row: it begins at an event, has that event's value as its weight, and ends where another event ends it
(``until``), or by itself (``ends_by``). It counts in every measurement that it reaches into, by whole microseconds.
January 2026 is measured from the files of January and before, February on 10 February at 00:00 UTC from those of
February and before:

===================================================  ==================  =======================
a job (``duration``), a disk in GB                   January             February
===================================================  ==================  =======================
start 31 January 23:50, stop 1 February 00:10        600 seconds, open   600 seconds
start 9 February 22:00, no stop                      –                   7,200 seconds, open, grows
start 9 February 22:00, ``max_session`` of an hour   –                   3,600 seconds
start and stop at 5 January 00:00                    0 seconds, 1 event  –
10 GB from 31 January 12:00, 0 from 1 February 6:00  120 GB-hours        60 GB-hours, grows
10 GB from 31 January 12:00, nothing after it        120 GB-hours        2,160 GB-hours, grows
===================================================  ==================  =======================

``open`` tells that no stop is known yet, and the line says that it is provisional; ``grows`` that a later measurement
may find more, because now lies within what is measured (a level of 0 stands, too, and adds nothing).
"""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

import ibis
import ibis.expr.types as ir

from billing_pipeline.core.exact import quotient_of
from billing_pipeline.metering.aggregations.aggregation import PRODUCT, WHOLE, Spans
from billing_pipeline.metering.questions import PAIR


def clipped(spans: ir.Table, questions: ir.Table, now: datetime | None, aggregation: Spans) -> ir.Table:
    """A row per measurement and span that counts in it, with its length there.

    A span counts where it begins, even if it has no length, and wherever it lasts and weighs something: a level of 0
    says nothing in the periods after its own. What nothing has ended lasts until now.

    Args:
        spans: as an aggregation gives them, weights multiplied.
        questions: number, customer, meter, start, end.
        now: nothing is known to last beyond it; None where all that is measured is in the past.
        aggregation: of the spans.

    Returns:
        The spans' columns, number, ``micros``; ``open``, whether what should end it is missing; and ``grows``, whether
        it will be longer later.
    """
    stretches = questions.select("number", *PAIR, "start", "end")
    # All that may reach in: begun before the end, and either over after the start or begun in here. The second half
    # keeps a session of no length at the very start, which is over when the stretch begins.
    begun = spans.timestamp < stretches.end
    reaches_in = spans.until.isnull() | (spans.until > stretches.start) | (spans.timestamp >= stretches.start)
    joined = spans.join(stretches, [*PAIR, begun, reaches_in])
    # The end that is known first counts: that of the stretch, another event, its own; without an event, now.
    latest = joined.end if now is None else ibis.least(joined.end, ibis.literal(now, "timestamp('UTC')"))
    until = joined.until.fill_null(latest)
    finish = ibis.least(joined.end, until, joined.ends_by.fill_null(joined.end))
    begin = ibis.greatest(joined.start, joined.timestamp)
    # What no event has ended and what does not end by itself before now may still go on: in the stretch, if now lies
    # in it; a session then also waits for its stop, which a level does not.
    endless = joined.until.isnull() & (joined.ends_by > latest).fill_null(True)  # noqa: FBT003 - ibis has no other way
    lasting = joined.mutate(
        micros=ibis.greatest(finish.delta(begin, unit="us"), 0).cast("int64"),
        open=endless if aggregation.provisional else ibis.literal(False),  # noqa: FBT003
        grows=endless & (latest < joined.end),
    )
    # Where it began it is an event of the stretch, whatever its length. Elsewhere it must weigh something, or be about
    # to: begun in an earlier period, it counts in this one from its first instant, also if now is that instant.
    begins_here = lasting.timestamp >= lasting.start
    lasts_here = (lasting.micros > 0) | (lasting.grows & (lasting.timestamp < lasting.start))
    return lasting.filter(begins_here | (lasts_here & (lasting.value != 0)))


def weighed(spans: ir.Table) -> dict[str, ir.Value]:
    """The sum of value × length of spans: the whole parts of the values and the rest apart, so that neither overflows.

    18 digits for a month of microseconds are 31 digits; with 18 decimals behind them they would not fit 38.
    """
    whole = spans.value.cast(WHOLE)
    rest = (spans.value.cast(PRODUCT) - whole.cast(PRODUCT)).cast(PRODUCT)
    return {
        "amount": (whole * spans.micros).cast(WHOLE).sum().cast(WHOLE),
        "rest": (rest * spans.micros).cast(PRODUCT).sum().cast(PRODUCT),
        "events": spans.count(),
        "open": spans.open.sum(),
        "grows": spans.grows.any(),
    }


def in_units(amount: Decimal, rest: Decimal, microseconds: int) -> Decimal:
    """The quantity of weighed spans: value × microseconds, in units of so many microseconds each."""
    return quotient_of((Fraction(amount) + Fraction(rest)) / microseconds)
