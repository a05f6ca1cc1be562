"""Work by customer bucket: in this process where it is small, in parallel processes where it is large.

Each unit is one transaction that can be repeated. A worker process that dies costs its unfinished units: they are
given to new workers, and only a unit that keeps killing its worker stops the run. Workers end with their parent.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from billing_pipeline.core.errors import BillingError
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.progress import Progress, no_progress
from billing_pipeline.operations.unit import Unit

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SMALL = 400_000  # rows; starting processes costs about as much as computing that many
_ATTEMPTS = 3

T = TypeVar("T")


class WorkerLost(BillingError):  # noqa: N818 - names what happened
    """A worker process was killed, again and again, at the same work."""

    exit_code = 1


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

    Raises:
        WorkerLost: a worker died again and again; what the other units did stays done.
    """
    buckets = tuple(billing.buckets)
    of_unit: Callable[[Unit], T] = partial(work, billing, *arguments)
    if rows <= SMALL:
        return _in_turn(of_unit, [buckets], progress)
    units = [(bucket,) for bucket in buckets]
    workers = min(billing.settings.workers, len(buckets))
    return _in_turn(of_unit, units, progress) if workers == 1 else _in_parallel(of_unit, units, progress, workers)


def _in_turn(work: Callable[[Unit], T], units: Sequence[Unit], progress: Progress) -> list[T]:
    results = []
    for done, unit in enumerate(units, start=1):
        results.append(work(unit))
        progress(done, len(units))
    return results


def _end_with_parent(end: "Connection") -> None:
    """In a new worker: end when the parent lets go of its end of a pipe, or is gone, however that came about.

    What this process was doing is rolled back. Interrupts are the parent's to judge.
    """
    import signal
    from threading import Thread

    def watch() -> None:
        end.poll(None)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=watch, daemon=True).start()


def _in_parallel(work: Callable[[Unit], T], units: Sequence[Unit], progress: Progress, workers: int) -> list[T]:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    results: dict[Unit, T] = {}
    context = get_context("spawn")  # a forked process would share this one's connections
    for _attempt in range(_ATTEMPTS):
        waiting = [unit for unit in units if unit not in results]
        end, lifeline = context.Pipe(duplex=False)
        with end, lifeline, ProcessPoolExecutor(workers, context, _end_with_parent, (end,)) as pool:
            futures = {pool.submit(work, unit): unit for unit in waiting}
            try:
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
                    progress(len(results), len(units))
            except BrokenProcessPool:
                continue
            except Exception:
                raise  # a unit's own: the others finish what they do
            except BaseException:  # interrupted: nobody finishes anything
                lifeline.close()
                raise
        return [results[unit] for unit in units]
    lost = [str(unit[0]) for unit in units if unit not in results]
    raise WorkerLost(
        f"Worker processes died {_ATTEMPTS} times at buckets {', '.join(lost)}; the other buckets are done.",
        hint="Was memory short? Lower BILLING_MEMORY or BILLING_WORKERS and run the same again.",
    )
