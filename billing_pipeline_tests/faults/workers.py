"""Units of work for worker processes that die, and a parent of some to be ended.

python -m billing_pipeline_tests.faults.workers FOLDER
"""

import os
import signal
import sys
import time
from pathlib import Path

from sqlalchemy import text

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.parallel import SMALL, run_units
from billing_pipeline.operations.unit import Unit
from billing_pipeline_tests.patience import PATIENCE_SECONDS


def die_once_at_bucket_2(billing: Billing, folder: str, buckets: Unit) -> int:
    """Kills its process at bucket 2, the first time."""
    if buckets == (2,) and not (marker := Path(folder) / "died").exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (Path(folder) / f"bucket {buckets[0]} by {os.getpid()}").touch()
    return buckets[0]


def die_always_at_bucket_2(billing: Billing, folder: str, buckets: Unit) -> int:
    """Kills its process at bucket 2, every time."""
    (Path(folder) / "died").unlink(missing_ok=True)
    return die_once_at_bucket_2(billing, folder, buckets)


def fail_at_bucket_2(billing: Billing, folder: str, buckets: Unit) -> int:
    """Says what is wrong."""
    if buckets == (2,):
        raise ValueError("this unit cannot be done")
    return die_once_at_bucket_2(billing, folder, buckets)


def stay_in_a_transaction(billing: Billing, folder: str, buckets: Unit) -> None:
    """Says who it is, and never ends by itself."""
    with billing.ledger.begin() as connection:
        connection.execute(text("SELECT pg_current_xact_id()"))
        (Path(folder) / f"worker {os.getpid()}").touch()
        time.sleep(PATIENCE_SECONDS)


if __name__ == "__main__":
    # Whoever runs the tests in the background has a shell that ignores interrupts, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    run_units(Billing.open(actor="ended"), stay_in_a_transaction, SMALL + 1, sys.argv[1])
