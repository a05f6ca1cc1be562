"""Which files of the landing folder were looked at, so that one that has not changed is not read again."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select, text

from billing_pipeline.ledger.tables import landing_file


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file as it was when it was last looked at.

    Attributes:
        url: where it lies.
        etag: its state then; of a refused file with the state of its source, whose mending is a reason to try again.
        batch: what it became, or None.
        error: why it was refused, or None.
    """

    url: str
    etag: str
    batch: int | None = None
    error: str | None = None


def seen(connection: Connection) -> dict[str, SeenFile]:
    """All files that were looked at, by URL."""
    rows = connection.execute(select(landing_file))
    return {row.url: SeenFile(row.url, row.etag, row.batch, row.error) for row in rows}


def record(connection: Connection, file: SeenFile, at: datetime) -> None:
    """Remember a file as it was."""
    connection.execute(
        text("""
            INSERT INTO landing_file (url, etag, batch, error, seen_at) VALUES (:url, :etag, :batch, :error, :at)
            ON CONFLICT (url) DO UPDATE SET etag = :etag, batch = :batch, error = :error, seen_at = :at
        """),
        {"url": file.url, "etag": file.etag, "batch": file.batch, "error": file.error, "at": at},
    )


def forget(connection: Connection, urls: Collection[str]) -> None:
    """Files that are gone concern nobody."""
    if urls:
        connection.execute(delete(landing_file).where(landing_file.c.url.in_(list(urls))))
