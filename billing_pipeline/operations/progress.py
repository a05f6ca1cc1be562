"""Who is told how far long work is: a face shows it as a bar or as lines of a log."""

from collections.abc import Callable

Progress = Callable[[int, int], None]  # how much is done, and how much there is in all
Watch = Callable[[str], Progress]  # what begins → who is told how far it is


def no_progress(done: int, in_all: int) -> None:
    """Progress of work that nobody watches."""


def no_watch(label: str) -> Progress:  # noqa: ARG001 - a Watch
    """Work begins, and nobody is shown its progress."""
    return no_progress
