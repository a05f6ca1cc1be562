"""File: one JSON file per payment request, in a folder that another system picks up.

A file appears whole or not at all, and never changes: it is written beside its place, forced to disk, and renamed. A
receiver that moves files away should know requests by ``idempotency_key``: delivery is at least once.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from billing_pipeline.core.errors import PaymentError
from billing_pipeline.core.private_files import make_private_folder, open_private
from billing_pipeline.payments.handoff import GatewaySettings, GatewayUnreachable, PaymentRequest, Submission

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NUMBER = 100  # characters; file systems end at 255


@dataclass(frozen=True, slots=True)
class FileGateway:
    """Writes to ``folder``, which is made where it is missing."""

    folder: Path
    needs_payment_method: ClassVar[bool] = False

    @classmethod
    def configured(cls, settings: GatewaySettings) -> Self:
        """The gateway that writes into BILLING_OUTBOX."""
        return cls(settings.outbox)

    def submit(self, request: PaymentRequest) -> Submission:
        """Write the file, unless it is there already; its name is the reference.

        Raises:
            PaymentError: the invoice was requested before, as something else.
            GatewayUnreachable: the folder cannot be written.
        """
        name = file_name(request)
        try:
            with self._alone():
                self._write_once(self.folder / name, request)
        except OSError as error:
            raise GatewayUnreachable(
                f"Payment request {name} cannot be written to {self.folder}: {error.strerror or error}.",
                hint="Check BILLING_OUTBOX: the folder must be writable and have space.",
            ) from error
        return Submission(name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time, so that looking and writing are one step. The lock dies with its process."""
        make_private_folder(self.folder)
        with open_private(self.folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write_once(self, path: Path, request: PaymentRequest) -> None:
        if path.exists():
            _refuse_other(path, request.content())
            return
        partial = self.folder / ".partial"  # what a killed writer left is not the file
        partial.unlink(missing_ok=True)
        with open_private(partial, "w", encoding="utf-8") as file:
            json.dump(request.content(), file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        _sync_folder(self.folder)


def file_name(request: PaymentRequest) -> str:
    """Number first, so that the folder sorts as the invoices do; the id, so that no two are alike."""
    number = _UNSAFE.sub("_", request.number)[:_LONGEST_NUMBER]
    return f"{number}-{request.document}.json"


def _refuse_other(path: Path, content: Mapping[str, str | None]) -> None:
    """The first request stands. Another payment method since then does not make it another request."""
    try:
        present = json.loads(path.read_text(encoding="utf-8"))
        differences = [key for key in content if key != "reference" and present[key] != content[key]]
    except (ValueError, KeyError, TypeError) as error:
        raise PaymentError(
            f"{path} is not the payment request that belongs there.", hint="Move it away, then deliver again."
        ) from error
    if differences:
        raise PaymentError(
            f"{content['idempotency_key']} was requested before with another {', '.join(differences)}: {path}.",
            hint="The first request stands; a finalized invoice never changes. Find out who wrote the file.",
        )


def _sync_folder(folder: Path) -> None:
    """A rename is on disk when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
