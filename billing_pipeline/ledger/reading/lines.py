"""The lines of documents as they are read, of many documents at once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.core.money import Money

Rows = Mapping[UUID, Sequence[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class KnownLine:
    """One line of one state of a document; dates are local days, ``service_end`` is the first one after it."""

    kind: str
    subscription: str | None
    plan: str | None
    plan_version: int | None
    price: str | None
    product: str | None
    description: str
    service_start: date | None
    service_end: date | None
    dimensions: Mapping[str, str]
    quantity: Decimal | None
    adjusts: str | None
    amount: Money


# In the order of KnownLine's fields.
_COLUMNS = """document, kind, subscription, plan, plan_version, price, product, description, service_start, service_end,
    dimensions, quantity, adjusts, amount_minor"""
_VERSIONS = f"""
    SELECT {_COLUMNS} FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[])) AS asked (id, of_version)
    JOIN document_line AS l ON l.document = asked.id AND l.version = asked.of_version ORDER BY document, line
"""  # noqa: S608 - names of columns
_DRAFTS = f"SELECT {_COLUMNS} FROM draft_line WHERE document = ANY(:ids) ORDER BY document, line"  # noqa: S608


def of_versions(connection: Connection, versions: Sequence[tuple[UUID, int]]) -> Rows:
    """The lines of these (document, version), for :func:`known_line`."""
    values = {"ids": [one for one, _ in versions], "versions": [version for _, version in versions]}
    return _by_document(connection, _VERSIONS, values) if versions else {}


def of_drafts(connection: Connection, drafts: Sequence[UUID]) -> Rows:
    """The lines of these drafts."""
    return _by_document(connection, _DRAFTS, {"ids": list(drafts)}) if drafts else {}


def _by_document(connection: Connection, query: str, values: Mapping[str, object]) -> Rows:
    found = defaultdict[UUID, list[tuple[Any, ...]]](list)
    for document, *line in connection.execute(text(query), values):
        found[document].append(tuple(line))
    return found


def known_line(row: tuple[Any, ...], currency: str) -> KnownLine:
    """A line of a document in ``currency``."""
    values: list[Any] = [*row[:-1], Money(int(row[-1]), currency)]
    return KnownLine(*values)
