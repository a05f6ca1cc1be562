"""How far long work is, as lines of a run's log."""

from logging import Logger
from time import monotonic

from billing_pipeline.operations.progress import Progress, Watch

_EVERY = 10.0  # seconds between two lines of one work: a run of an hour is read in a minute


def logged(log: Logger, every: float = _EVERY) -> Watch:
    """A line when work begins, now and then while it lasts, and when it is done."""

    def watch(label: str) -> Progress:
        log.info("%s begins", label)
        last = monotonic()

        def progress(done: int, in_all: int) -> None:
            nonlocal last
            if done == in_all or monotonic() - last >= every:
                last = monotonic()
                log.info("%s: %d of %d", label, done, in_all)

        return progress

    return watch
