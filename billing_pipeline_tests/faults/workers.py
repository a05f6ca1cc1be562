"""Units of work for worker processes that die."""

import os
import signal
from pathlib import Path

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.unit import Unit


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
