"""A small valid catalog, and the two things tests do with text: check it, or see what is wrong with it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from billing_pipeline.catalog import Catalog
from billing_pipeline.catalog.check import check
from billing_pipeline.catalog.checks.check_context import Registries
from billing_pipeline.catalog.files import load_files
from billing_pipeline.catalog.problems import CatalogProblems, Problem
from billing_pipeline.core.period import BillingCalendar, calendar
from billing_pipeline.rating.price import parse_price

BASE = """
account: {name: Example Cloud GmbH, currency: USD}
meters:
  - {id: compute, aggregation: sum, unit: GB-s, dimensions: [provider, region]}
  - {id: requests, aggregation: count}
products:
  - {id: functions, invoicing_delay: 5 days}
plans:
  - id: payg
    prices:
      - {id: compute, product: functions, meter: compute, price: {model: per_unit, unit_amount: "0.10"}}
  - id: metered
    prices:
      - {id: requests, meter: requests, price: {model: per_unit, unit_amount: "0.01"}}
  - {id: euro, currency: EUR}
customers:
  - {id: acme}
  - {id: beta}
"""

Check = Callable[..., Catalog]
FindProblems = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def berlin() -> BillingCalendar:
    return calendar("Europe/Berlin", "month", date(2026, 1, 1))


@pytest.fixture
def base() -> str:
    return BASE


@pytest.fixture
def checked(tmp_path: Path, berlin: BillingCalendar) -> Check:
    """``checked(text, …, existing=None, …)``: each text is a file of its own."""

    def check_texts(*texts: str, existing: Catalog | None = None, **more: Any) -> Catalog:
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
        paths = [tmp_path / f"{number}.yaml" for number in range(len(texts))]
        return check(
            load_files(paths),
            berlin,
            Registries(
                parse_price,
                ("sum", "count", "max", "unique_count", "duration", "weighted_sum"),
                ("csv", "jsonl", "focus"),
                ("file", "manual"),
            ),
            existing=existing,
            **more,
        )

    return check_texts


@pytest.fixture
def problems_of(checked: Check) -> FindProblems:
    """``problems_of(text, …)``: all problems of the texts, in the order of file and line."""

    def find(*texts: str, existing: Catalog | None = None) -> tuple[Problem, ...]:
        with pytest.raises(CatalogProblems) as raised:
            checked(*texts, existing=existing)
        return raised.value.problems

    return find


@pytest.fixture
def only_problem(problems_of: FindProblems, base: str) -> Callable[[str], Problem]:
    """The one problem of a text beside the base catalog; it must stand on the line that says ``# here``."""

    def find(text: str, existing: Catalog | None = None) -> Problem:
        (problem,) = problems_of(base, text, existing=existing)
        marked = next(number for number, line in enumerate(text.splitlines(), start=1) if line.endswith("# here"))
        assert (Path(problem.file).name, problem.line) == ("1.yaml", marked), str(problem)
        return problem

    return find
