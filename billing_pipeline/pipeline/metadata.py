"""What Dagster's UI shows of a run: what a person asks first stands first; whatever is a number is plotted."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from babel.numbers import format_currency, get_currency_symbol

from billing_pipeline.core.money import Money, minor_digits
from billing_pipeline.core.plain_text import maybe_plain
from billing_pipeline.operations.stage_report import StageReport
from billing_pipeline.pipeline.partitions import BILLING_PERIODS

Metadata = dict[str, Any]  # as Dagster takes it: values, or plain numbers and texts
_LOCALE = "en_US"
_ROWS = 100  # of a table; a page shows no more
_LONG_WORD = re.compile(r"(\S{14})\S{5,}(\S{10})")  # a table is as wide as its longest word
_ZONE = ZoneInfo(BILLING_PERIODS.timezone)


def described(report: StageReport, rows: int, totals: Sequence[Money] = ()) -> Metadata:
    """What comes last: how the stage ran, and the numbers that are plotted over partitions and runs."""
    counts: Mapping[str, object] = {name.replace("_", " "): count for name, count in report.counts.items()}
    return {
        "done in this run": table([counts]),
        "through batch": dg.MetadataValue.int(report.through_batch),
        "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        # A plot draws floats; the amounts themselves stand above, exact.
        **{f"total {total.currency}": dg.MetadataValue.float(float(total.amount)) for total in totals},
        "dagster/row_count": dg.MetadataValue.int(rows),
    }


def table(rows: Sequence[Mapping[str, object]]) -> dg.MetadataValue:
    """A table of the first rows, every cell as a person reads it; ``none`` where there is no row."""
    if not rows:
        return dg.MetadataValue.text("none")
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows[:_ROWS]]
    kinds = {name: "int" if isinstance(value, int) else "string" for name, value in records[0].data.items()}
    columns = [dg.TableColumn(name.replace("_", " "), kind) for name, kind in kinds.items()]
    named = [dg.TableRecord({name.replace("_", " "): cell for name, cell in record.data.items()}) for record in records]
    return dg.MetadataValue.table(named, dg.TableSchema(columns))


def money(totals: Sequence[Money]) -> dg.MetadataValue:
    """Totals as a person reads them: ``$58.69``, or one a currency."""
    return dg.MetadataValue.text(" + ".join(map(formatted, totals)) or "nothing")


def formatted(amount: Money) -> str:
    """``$1,234.50``. With the currency's digits by ISO 4217, which are not always the locale data's."""
    digits, symbol = minor_digits(amount.currency), get_currency_symbol(amount.currency, _LOCALE)
    space = "\u00a0" if symbol[-1].isalpha() else ""
    pattern = f"¤{space}#,##0" + (f".{'0' * digits}" if digits else "")
    return format_currency(amount.amount, amount.currency, pattern, locale=_LOCALE, currency_digits=False)


def command(words: str) -> dg.MetadataValue:
    """How the command line shows more."""
    return dg.MetadataValue.md(f"`billing {words}`")


def _cell(value: object) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    written = next((write for kind, write in _WRITTEN.items() if isinstance(value, kind)), str)
    return _LONG_WORD.sub(r"\1…\2", written(value))


_WRITTEN: Mapping[type, Callable[[Any], str]] = {
    Money: formatted,
    Decimal: lambda value: f"{Decimal(str(maybe_plain(value))):,f}",
    datetime: lambda value: f"{value.astimezone(_ZONE):%Y-%m-%d %H:%M}",
    bool: lambda value: "yes" if value else "no",
    list: lambda value: ", ".join(map(str, value)),
    type(None): lambda _: "",
}
