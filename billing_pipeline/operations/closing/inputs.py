"""The inputs of documents: the usage files of their own period, and of those that they adjust."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from billing_pipeline.ledger.documents import finalization
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.closing.lasting_usage import earlier_files, lasting_meters
from billing_pipeline.operations.unit import Work


def keep_inputs(work: Work, bucket: int, batch: int, change: int, late: Iterable[date]) -> str:
    """The usage files that documents are computed from, kept and identified by what is in them; their fingerprint.

    Args:
        work: names the period.
        bucket: the customers'.
        batch: the last one that counts.
        change: the last catalog change that does.
        late: periods whose final documents late usage corrects: their files count, too.
    """
    files = manifest.files(work.connection, work.first_day, batch, buckets=[bucket])
    lasting = lasting_meters(work.connection, change)
    files += earlier_files(replace(work, buckets=(bucket,)), lasting, batch)
    for period in late:  # what lasts may be late, too: such a file is named twice
        files += manifest.files(work.connection, period, batch, buckets=[bucket])
    return finalization.keep_inputs(work.connection, batch, files)
