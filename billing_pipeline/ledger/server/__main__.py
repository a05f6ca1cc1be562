"""``python -m billing_pipeline.ledger.server HOME OLD_PROGRAMS``: dump and restore the embedded server's data."""

import sys
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.embedded import EmbeddedPostgres


def main(home: str, old_programs: str) -> str:
    """Upgrade the server's data; returns the sentence that says so."""
    kept = EmbeddedPostgres(Path(home)).upgrade(Path(old_programs))
    return f"The ledger's data are upgraded. The old ones are kept in {kept}; delete them when you have looked."


if __name__ == "__main__":
    try:
        print(main(*sys.argv[1:]))  # noqa: T201 - a command's answer
    except LedgerError as error:
        sys.exit(str(error))
