"""Remove the files that crashes left behind: those of no batch, half-prepared deliveries, what engines had spilled."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from billing_pipeline.core.errors import UsageError
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.context import Billing
from billing_pipeline.usage.lake import ORPHAN_AGE, Lake


def sweep(billing: Billing, *, older_than: timedelta = ORPHAN_AGE) -> list[str]:
    """Remove orphaned files that are older than that by the machine's clock, which is the files', too; returns them.

    A younger file may belong to a landing under way. Orphans are listed before the manifest is read: what it does not
    name then was not accepted before either.
    """
    now = datetime.now(UTC)
    try:
        lake = Lake.at(billing.settings.lake)
        orphans = lake.orphans(now, older_than)
        with billing.ledger.begin() as connection:
            swept = lake.sweep(orphans, manifest.paths(connection))
        return swept + _leftovers(billing, now, older_than)
    except OSError as error:
        raise UsageError(
            f"What crashes left cannot be swept: {error}.",
            hint="Let this user remove files in the lake and below BILLING_HOME; nothing else waits for it.",
        ) from error


def _leftovers(billing: Billing, now: datetime, older_than: timedelta) -> list[str]:
    swept = []
    folders = [folder for folder in (billing.staging_folder, billing.spill_folder) if folder.exists()]
    for leftover in [path for folder in folders for path in folder.iterdir()]:
        with suppress(FileNotFoundError):  # its owner has just ended
            if now - datetime.fromtimestamp(leftover.stat().st_mtime, UTC) > older_than:
                shutil.rmtree(leftover, ignore_errors=True)
                swept.append(str(leftover))
    return swept
