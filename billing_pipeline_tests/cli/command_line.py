"""The command line as tests use it: in this process, or in one of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from billing_pipeline.cli import app
from billing_pipeline_tests.sandbox import SOURCE

CATALOG = (
    SOURCE
    + """
account: {name: Example Cloud, currency: USD, grace: 3 days}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [region]}
plans:
  - {id: payg, currency: USD, prices: [
      {id: compute, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}]}
customers:
  - {id: acme, name: Acme GmbH, currency: USD, payment: {gateway: file, collection: automatic}}
  - {id: beta, name: Beta Inc, currency: USD}
subscriptions:
  - {id: acme-payg, customer: acme, plan: payg, start: 2026-01-01}
  - {id: beta-payg, customer: beta, plan: payg, start: 2026-01-01}
"""
)
HEADER = "customer,meter,timestamp,value,region,id,retract\n"


@dataclass
class CommandLine:
    """``billing`` with one ledger's environment, in this process."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, exit_code: int = 0) -> Result:
        """Run a command; it must end with ``exit_code``."""
        result = CliRunner().invoke(app, list(words), env=self.environment)
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *words: str, exit_code: int = 0) -> Any:
        """What a command prints with --json."""
        return json.loads(self(*words, "--json", exit_code=exit_code).stdout)

    def error(self, *words: str) -> Any:
        """How a command refuses."""
        refusal = self.json(*words, exit_code=2)
        assert refusal.keys() == {"error"}
        return refusal["error"]

    def started(self, *words: str) -> "subprocess.Popen[str]":
        """The command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", "from billing_pipeline.cli import app; app()", *words],
            env=os.environ | dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )


def usage_file(folder: Path, name: str, *rows: str) -> str:
    """A CSV file of usage, as the catalog's source reads it; returns its path."""
    path = folder / name
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return str(path)
