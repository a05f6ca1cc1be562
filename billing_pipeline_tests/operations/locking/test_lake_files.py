"""A lake file that is lost or was changed keeps the customers in it, held and named, and nobody else."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from billing_pipeline.core.errors import UsageError
from billing_pipeline.operations.locking.holds import list_holds
from billing_pipeline.operations.reading.event_history import event_history
from billing_pipeline.operations.reading.status import status
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum}, {id: gb, aggregation: max}]
plans: [{id: p, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: "0.10"}}]}]
customers: [{id: acme}, {id: beta}]
subscriptions:
  - {id: a, customer: acme, plan: p, start: 2026-01-01}
  - {id: b, customer: beta, plan: p, start: 2026-01-01}
"""
)


@pytest.fixture
def sandbox(postgres: Server, tmp_path: Path) -> Iterator[Sandbox]:
    """Usage of 139 for acme and 20 for beta, a file each; not yet closed."""
    with open_sandbox(postgres, tmp_path, CATALOG) as made:
        made.at("2026-01-10").land(use("acme", "api", "2026-01-05", 139))
        made.land(use("beta", "api", "2026-01-05", 20))
        yield made


def file_of(sandbox: Sandbox, customer: str) -> Path:
    query = "SELECT path FROM lake_file JOIN customer AS c ON c.code = ANY(customers) WHERE c.id = :id ORDER BY batch"
    return Path(sandbox.billing.settings.lake) / str(sandbox.query(query, id=customer)[0].path)


def times_ten(path: Path) -> None:
    """What somebody did to a real lake: the values are ten times what was accepted."""
    table = pq.read_table(path)
    values = [Decimal(str(value)) * 10 for value in table["value"].to_pylist()]
    column = pa.array(values, table.schema.field("value").type)
    pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", column), path)


def same_size(path: Path) -> None:
    """Content that only its hash tells from what was accepted."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def unreadable(path: Path) -> None:
    """No Parquet any more, and of the size that was accepted."""
    path.write_bytes(bytes(path.stat().st_size))


def lost(path: Path) -> None:
    path.unlink()


HARM = [(harm, when) for harm in (times_ten, same_size, unreadable, lost) for when in ("before the close", "after it")]


def standing(sandbox: Sandbox) -> dict[str, tuple[str, Decimal]]:
    return {document.customer: (document.status, document.total) for document in sandbox.documents(key="2026-01-01")}


@pytest.mark.parametrize(("harm", "when"), HARM)
def test_only_its_customers_wait_until_it_is_restored(
    sandbox: Sandbox, harm: Callable[[Path], None], when: str
) -> None:
    path = file_of(sandbox, "acme")
    kept = path.read_bytes()
    if when == "after it":
        sandbox.close()
    harm(path)
    tick(sandbox.at("2026-02-01").billing)
    assert standing(sandbox)["beta"] == ("finalized", Decimal(2))
    assert standing(sandbox)["acme"][0] == "draft"
    reasons = [hold.reason for hold in list_holds(sandbox.billing) if hold.cause == "lake_files"]
    assert len(reasons) == 1
    assert reasons[0].startswith(f"the lake file {path.relative_to(sandbox.billing.settings.lake)} ")
    assert {hold.customer for hold in list_holds(sandbox.billing)} == {"acme"}
    said = str(status(sandbox.billing).to_json())
    assert "lake_files" in said
    assert "acme" in said
    path.write_bytes(kept)
    tick(sandbox.at("2026-02-02").billing)
    tick(sandbox.at("2026-02-02T00:05").billing)  # held through the instant of the release
    assert standing(sandbox) == {"acme": ("finalized", Decimal("13.90")), "beta": ("finalized", Decimal(2))}
    assert list_holds(sandbox.billing) == []


def test_what_was_changed_is_not_metered_when_more_usage_comes(sandbox: Sandbox) -> None:
    sandbox.close()
    times_ten(file_of(sandbox, "acme"))
    sandbox.land(use("acme", "api", "2026-01-06", 342), use("beta", "api", "2026-01-06", 1))
    sandbox.close()
    assert standing(sandbox)["acme"][1] == Decimal("13.90")
    assert standing(sandbox)["beta"][1] == Decimal("2.10")
    assert {hold.customer for hold in list_holds(sandbox.billing)} == {"acme"}


def test_without_a_list_of_its_customers_everybody_waits_who_may_be_in_it(sandbox: Sandbox) -> None:
    path = file_of(sandbox, "acme")
    sandbox.rewrite_as_owner("lake_file", "UPDATE lake_file SET customers = NULL")
    sandbox.close()
    lost(path)
    assert sandbox.at("2026-02-01").lock()["finalized"] == 0
    assert {hold.customer for hold in list_holds(sandbox.billing)} == {"acme", "beta"}


def test_who_reads_it_is_told_which_and_what_to_do(sandbox: Sandbox) -> None:
    sandbox.close()
    path = file_of(sandbox, "acme")
    lost(path)
    with pytest.raises(UsageError, match=f"{path.name} is lost") as refused:
        event_history(sandbox.billing, "acme", "api", period="2026-01-01")
    assert "Restore it from a backup" in refused.value.hint
