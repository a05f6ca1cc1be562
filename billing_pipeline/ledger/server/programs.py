"""Running PostgreSQL's programs: as the server's user, out of reach of our terminal, their words kept for the error."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.user import ServerUser

_SAID = 800  # characters of a program's last words that an error shows


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one folder, run as one user."""

    bindir: Path
    user: ServerUser | None

    def run(self, program: str, *arguments: object, statements: str = "") -> str:
        """Run one, with ``statements`` as its input; returns what it said.

        Output goes to a file, since a server inherits it and a pipe would never close; in a session of its own, since
        an interrupt that ends us is not meant for the server.

        Raises:
            LedgerError: it failed; its last words are in the message.
        """
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
            given.write(statements.encode())
            given.seek(0)
            code = subprocess.run(
                [str(self.bindir / program), *map(str, arguments)],
                check=False,
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                user=self.user.uid if self.user else None,
                group=self.user.gid if self.user else None,
                extra_groups=[] if self.user else None,
            ).returncode
            output.seek(0)
            said = output.read().decode(errors="replace")
        if code:
            raise LedgerError(f"PostgreSQL's {program} failed ({code}): {said[-_SAID:].strip()}")
        return said
