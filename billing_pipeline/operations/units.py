"""Work by customer bucket: in this process where it is small, in parallel processes where it is large.

Each unit is one transaction that can be repeated. A worker process that dies costs its unfinished units: they are
given to new workers, and only a unit that keeps killing its worker stops the run.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from billing_pipeline.core.errors import BillingError
from billing_pipeline.operations.context import Billing

SMALL = 400_000  # rows; starting processes costs about as much as computing that many
_ATTEMPTS = 3

T = TypeVar("T")
Progress = Callable[[int, int], None]  # units done, units in all
Unit = tuple[int, ...]  # buckets


class WorkerLost(BillingError):  # noqa: N818 - names what happened
    """A worker process was killed, again and again, at the same work."""

    exit_code = 1


def no_progress(done: int, units: int) -> None:
    """For callers that show none."""


def run_units(
    billing: Billing, work: Callable[..., T], rows: int, *arguments: object, progress: Progress = no_progress
) -> list[T]:
    """Run ``work(billing, *arguments, buckets)`` over all buckets; returns what each unit returned.

    Args:
        billing: of the run.
        work: a module's function; it is sent to other processes.
        rows: roughly how many rows it will touch: decides whether processes are worth it.
        arguments: picklable.
        progress: called as units finish.
    """
    buckets = list(billing.buckets)
    workers = min(billing.settings.workers, len(buckets))
    if rows <= SMALL or workers == 1:
        size = max(1, len(buckets) if rows <= SMALL else 1)
        units = [tuple(buckets[start : start + size]) for start in range(0, len(buckets), size)]
        return _in_turn(billing, work, units, arguments, progress)
    return _in_parallel(billing, work, [(bucket,) for bucket in buckets], arguments, workers, progress)


def _in_turn(
    billing: Billing,
    work: Callable[..., T],
    units: Sequence[Unit],
    arguments: tuple[object, ...],
    progress: Progress,
) -> list[T]:
    results = []
    for done, unit in enumerate(units, start=1):
        results.append(work(billing, *arguments, unit))
        progress(done, len(units))
    return results


def _in_parallel(
    billing: Billing,
    work: Callable[..., T],
    units: Sequence[Unit],
    arguments: tuple[object, ...],
    workers: int,
    progress: Progress,
) -> list[T]:
    results: dict[Unit, T] = {}
    for _attempt in range(_ATTEMPTS):
        waiting = [unit for unit in units if unit not in results]
        # spawn: a forked process would share this one's connections
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(work, billing, *arguments, unit): unit for unit in waiting}
            try:
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
                    progress(len(results), len(units))
            except BrokenProcessPool:
                continue
        return [results[unit] for unit in units]
    lost = [str(unit[0]) for unit in units if unit not in results]
    raise WorkerLost(
        f"Worker processes died {_ATTEMPTS} times at buckets {', '.join(lost)}; the other buckets are done.",
        hint="Was memory short? Lower BILLING_MEMORY or BILLING_WORKERS and run the same again.",
    )
