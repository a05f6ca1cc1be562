"""Answers that a process remembers: what was computed of files that never change is not computed again.

A month's usage is asked for again and again in one run: by the close, by documents that compare with it, by the lock.
Each answer is a function of what it was asked with alone.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, TypeVar

_MOST = 64  # answers
_SMALL = 10_000  # rows: an answer about more may be large itself, and computing it is what costs

T = TypeVar("T")


class Remembered:
    """The last answers, by everything that they hang on."""

    def __init__(self) -> None:
        self._answers: dict[bytes, Any] = {}

    def answer(self, question: tuple[object, ...], compute: Callable[[], T], rows: int = 0) -> T:
        """What ``compute`` gives, now or the last time that it was asked the same. Nobody may change it.

        Args:
            question: all that the answer hangs on; its values say in their ``repr`` what they are.
            compute: asked where the question is new.
            rows: how much the answer is about; about a lot it is computed each time.
        """
        if rows > _SMALL:
            return compute()
        key = sha256(repr(question).encode()).digest()
        answer: T = self._answers.pop(key) if key in self._answers else compute()
        self._answers[key] = answer
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]  # the one that was not asked for the longest time
        return answer
