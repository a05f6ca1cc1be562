"""Remove what crashed landings left behind: files that no batch names, and half-prepared deliveries."""

import shutil
from datetime import UTC, datetime, timedelta

from billing_pipeline.ledger import known_batches
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.incoming import staging_folder
from billing_pipeline.usage.lake import ORPHAN_AGE, Lake


def sweep(billing: Billing, *, older_than: timedelta = ORPHAN_AGE) -> list[str]:
    """Remove orphans older than ``older_than`` by the machine's clock, which is also the files'; returns their paths.

    A younger file may belong to a landing under way. Orphans are listed before the manifest is read: what it does not
    name then was not accepted before either.
    """
    now = datetime.now(UTC)
    lake = Lake.at(billing.settings.lake)
    orphans = lake.orphans(now, older_than)
    with billing.ledger.begin() as connection:
        swept = lake.sweep(orphans, known_batches.paths(connection))
    folder = staging_folder(billing)
    for leftover in folder.iterdir() if folder.exists() else ():
        if now - datetime.fromtimestamp(leftover.stat().st_mtime, UTC) > older_than:
            shutil.rmtree(leftover, ignore_errors=True)
            swept.append(str(leftover))
    return swept
