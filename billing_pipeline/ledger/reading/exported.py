"""Lines of final documents as the books read them: streamed, in one order, those of a void one again, reversed."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Row, text

from billing_pipeline.ledger.lines import line_columns, stored_line
from billing_pipeline.rating.line import RatedLine

_AT_ONCE = 5_000  # rows that the server sends


@dataclass(frozen=True, slots=True)
class Booked:
    """Which documents.

    Attributes:
        period: only this billing period's, by its first local day.
        since: only what was finalized, or made void, at this instant or later.
        until: only what was before this instant.
    """

    period: date | None = None
    since: datetime | None = None
    until: datetime | None = None


class FinalLine(NamedTuple):
    """One line of a final document, after what its document says of itself.

    Attributes:
        at: when it was finalized; of a reversal, when it was made void.
        reversal: the document was made void: everything counts with the opposite sign.
        total, customer_credit, amount_due: in minor units, before any reversal; so is the line's amount.
        place: the line's number on its document, from 1.
        adjusted: of an adjustment, the billing period of the document that it corrects.
    """

    at: datetime
    reversal: bool
    document: UUID
    number: str
    document_kind: str
    period: date
    issue_date: date
    customer: str
    currency: str
    total: Decimal
    customer_credit: Decimal
    amount_due: Decimal
    place: int
    line: RatedLine
    adjusted: date | None


# In a row the document's fields come first, then the adjusted period, then the line's own.
_LINE_AT, _CURRENCY_AT = FinalLine._fields.index("line"), FinalLine._fields.index("currency")
# A document without lines has no number: it was not issued, and there is nothing to book.
_BOOKED = """
    SELECT f.document, f.version, f.number, f.finalized_at AS at, false AS reversal FROM finalization AS f
    WHERE f.number IS NOT NULL
    UNION ALL
    SELECT f.document, f.version, f.number, v.voided_at, true FROM document_void AS v
    JOIN finalization AS f ON f.document = v.document WHERE f.number IS NOT NULL
"""
_LINES = f"""
    SELECT b.at, b.reversal, d.id, b.number, d.kind, d.period, d.issue_date, c.id, d.currency, s.total_minor,
           s.customer_credit_applied_minor, s.amount_due_minor, l.line, a.period, {line_columns()}
    FROM ({_BOOKED}) AS b
    JOIN document AS d ON d.id = b.document
    JOIN customer AS c ON c.code = d.customer
    JOIN document_version AS s ON s.document = b.document AND s.version = b.version
    JOIN document_line AS l ON l.document = b.document AND l.version = b.version
    LEFT JOIN document AS a ON a.id = l.adjusts_document
    WHERE {{wanted}}
    ORDER BY b.at, b.number COLLATE "C", b.reversal, l.line
"""  # noqa: S608 - names of columns
_COUNT = f"SELECT count(*) FROM ({_BOOKED}) AS b JOIN document AS d ON d.id = b.document WHERE {{wanted}}"  # noqa: S608


@contextmanager
def final_lines(connection: Connection, booked: Booked) -> Iterator[Iterator[FinalLine]]:
    """All lines of these documents, a document's together: by instant, number, void after finalized, and line.

    What was booked before an instant that has passed never changes, so neither does this. Streamed: any number of
    lines takes the memory of some thousands.
    """
    query = text(_LINES.format(wanted=_wanted(booked)))
    with connection.execute(query, _values(booked), execution_options={"yield_per": _AT_ONCE}) as rows:
        yield (_final_line(row) for row in rows)


def _final_line(row: Row[Any]) -> FinalLine:
    line = stored_line(row[_LINE_AT + 1 :], row[_CURRENCY_AT])
    return FinalLine._make((*row[:_LINE_AT], line, row[_LINE_AT]))


def count(connection: Connection, booked: Booked) -> int:
    """How many documents there are to read, a void one twice."""
    documents: int = connection.execute(text(_COUNT.format(wanted=_wanted(booked))), _values(booked)).scalar_one()
    return documents


def _wanted(booked: Booked) -> str:
    conditions = {"period": "d.period = :period", "since": "b.at >= :since", "until": "b.at < :until"}
    return " AND ".join([words for name, words in conditions.items() if getattr(booked, name) is not None]) or "true"


def _values(booked: Booked) -> dict[str, Any]:
    return {"period": booked.period, "since": booked.since, "until": booked.until}
