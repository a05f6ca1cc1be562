"""Where an embedded server is: the folder of its data, and its port; each is chosen once and kept.

Its data lie in its home folder, or, where root's server user cannot reach that, in /var/lib.

Which of the two is decided once and written down: a folder whose mode changes later must not make a ledger vanish.
"""

import os
import random
import secrets
import socket
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.user import open_to_others

SYSTEM_PLACE = Path("/var/lib/billing_pipeline")
_HERE = "."
_CHOICE = range(20000, 32000)  # below what systems hand to outgoing connections


def place_of(root: Path) -> Path:
    """The folder of ``root``'s data: chosen on the first call, the same ever after. ``root`` must exist.

    A place elsewhere has a name of its own, made at random: a project that is deleted and made anew at the same path
    starts empty.
    """
    marker = root / "place"
    if not marker.exists():
        here = os.geteuid() != 0 or open_to_others(root)
        write_private(marker, _HERE if here else str(SYSTEM_PLACE / secrets.token_hex(8)))
    place = root / marker.read_text()
    if place.resolve() == root:
        return root
    place.mkdir(parents=True, exist_ok=True)
    for folder in (SYSTEM_PLACE, place):
        folder.chmod(0o711)
    _refuse_a_copy(root, place)
    return place


def _refuse_a_copy(root: Path, place: Path) -> None:
    """A home that was copied would bill into the original's ledger; one that was moved goes on."""
    home = place / "home"
    recorded = Path(home.read_text()) if home.exists() else root
    marker = recorded / "place"
    if recorded != root and marker.exists() and root / marker.read_text() == place:
        raise LedgerError(
            f"{root} is a copy of {recorded}: both name the data in {place}.",
            hint=f"Delete {root} to start an empty ledger here, or set BILLING_HOME to {recorded.parent}.",
        )
    write_private(home, str(root))


def write_private(path: Path, text: str) -> None:
    """Write a file beside, mode 0600, then rename it: nobody sees half of it, and nobody else any of it."""
    half = path.with_name(f"{path.name}.half")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    half.replace(path)


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
