"""The server's port: chosen once and kept, so that a URL stays true."""

import random
import socket
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.place import write_private

_CHOICE = range(20000, 32000)  # below what systems hand to outgoing connections


def free_port(file: Path) -> int:
    """The port that ``file`` holds, chosen on the first call.

    Raises:
        LedgerError: another program has taken it.
    """
    if not file.exists():
        write_private(file, str(next(port for port in random.sample(_CHOICE, len(_CHOICE)) if _is_free(port))))
    port = int(file.read_text())
    if not _is_free(port):
        raise LedgerError(
            f"Port {port} of the embedded PostgreSQL in {file.parent} is taken by another program.",
            hint=f"Stop that program, or write another port into {file}; the ledger's URL then changes.",
        )
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
