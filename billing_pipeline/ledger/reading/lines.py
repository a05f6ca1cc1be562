"""The lines of many documents at once, as people read them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from billing_pipeline.ledger.lines import line_columns

Rows = Mapping[UUID, Sequence[Sequence[Any]]]
_VERSIONS = f"""
    SELECT l.document, {line_columns()}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[])) AS asked (id, of_version)
    JOIN document_line AS l ON l.document = asked.id AND l.version = asked.of_version ORDER BY l.document, l.line
"""  # noqa: S608 - names of columns
_DRAFTS = f"SELECT l.document, {line_columns()} FROM draft_line AS l WHERE document = ANY(:ids) ORDER BY document, line"  # noqa: S608


def of_versions(connection: Connection, versions: Sequence[tuple[UUID, int]]) -> Rows:
    """The lines of these (document, version), for :func:`stored_line`."""
    values = {"ids": [document for document, _ in versions], "versions": [version for _, version in versions]}
    return _by_document(connection, _VERSIONS, values) if versions else {}


def of_drafts(connection: Connection, drafts: Sequence[UUID]) -> Rows:
    """The lines of these drafts."""
    return _by_document(connection, _DRAFTS, {"ids": list(drafts)}) if drafts else {}


def _by_document(connection: Connection, query: str, values: Mapping[str, object]) -> Rows:
    rows = defaultdict[UUID, list[Sequence[Any]]](list)
    for document, *line in connection.execute(text(query), values):
        rows[document].append(line)
    return rows
