"""Voids: a number that asks for nothing any more, and the invoice issued in its place."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from billing_pipeline.core.errors import Refused
from billing_pipeline.ledger.documents import payments
from billing_pipeline.ledger.documents.payments import PaymentStep
from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.customer_change import change_customer
from billing_pipeline.operations.corrections.void import Voided, void
from billing_pipeline.operations.payments.payment_status import mark_paid
from billing_pipeline.operations.reading.invoices import list_invoices, show_invoice
from billing_pipeline.operations.tick import tick
from billing_pipeline.payments.handoff import PaymentStatus
from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, instant, open_sandbox, use
from billing_pipeline_tests.servers import Server

CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum, dimensions: [region]}, {id: gb, aggregation: sum}]
products: [{id: late, invoicing_delay: 5 days}]
plans:
  - {id: metered, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 1}}]}
  - id: mixed
    fees: [{id: platform, amount: 100, every: month, timing: in_advance}]
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: 1}}
      - {id: gb, meter: gb, product: late, price: {model: per_unit, unit_amount: 1}}
  - {id: grown, fees: [{id: platform, amount: 160, every: month, timing: in_advance}]}
  - id: volume
    prices: [{id: api, meter: api, price: {model: volume, tiers: [{up_to: 100, unit_amount: "0.10"},
      {unit_amount: "0.08"}]}}]
customers: [{id: acme}, {id: beta}, {id: gone}, {id: vol}]
subscriptions:
  - {id: acme, customer: acme, plan: metered, start: 2026-01-01}
  - {id: beta, customer: beta, plan: mixed, start: 2026-01-01}
  - {id: gone, customer: gone, plan: metered, start: 2026-01-01, end: 2026-02-01}
  - {id: vol, customer: vol, plan: volume, start: 2026-01-01}
"""
)


@pytest.fixture(scope="module")
def january(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The first of February: January is billed. 50 by acme and gone, 35 of a volume price; beta 100 + 7 + 5 later."""
    with open_sandbox(postgres, tmp_path_factory.mktemp("january"), CATALOG) as made:
        made.at("2026-01-20").land(
            *(use(one, "api", "2026-01-05", amount) for one, amount in {"acme": 50, "gone": 50, "vol": 35}.items()),
            use("beta", "api", "2026-01-05", 7),
            use("beta", "gb", "2026-01-05", 5),
        )
        ticks(made, "2026-01-20", "2026-02-01")
        yield made


@pytest.fixture
def sandbox(january: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The same, once for each test."""
    use_plain_metering(monkeypatch)
    use_no_checks(monkeypatch)
    with january.fork() as made:
        yield made


def ticks(sandbox: Sandbox, *instants: str) -> None:
    """Have everything done that is to be done at these instants."""
    for at in instants:
        report = tick(sandbox.at(at).billing)
        assert not [step for step in report.steps if step.problem]


def late(
    sandbox: Sandbox, at: str, *amounts: tuple[str, int], timestamp: str = "2026-01-20", meter: str = "api"
) -> None:
    """Usage of January, received at an instant and metered."""
    sandbox.at(at).land(*(use(customer, meter, timestamp, amount) for customer, amount in amounts))
    ticks(sandbox, at)


def number(sandbox: Sandbox, customer: str, kind: str = "closing", issued: str = "2026-02-01") -> str:
    """Of the invoice that stands."""
    (found,) = [
        one.number
        for one in sandbox.documents(customer)
        if (one.kind, one.issue_date) == (kind, issued) and one.status == "finalized"
    ]
    assert found is not None
    return found


def voided(sandbox: Sandbox, name: str, *, reissue: bool = False) -> Voided:
    return void(sandbox.billing, name, reason="wrong address", reissue=reissue)


Row = tuple[str, str, str, str | None, str, tuple[str, ...]]


def books(sandbox: Sandbox, customer: str) -> list[Row]:
    """(kind, issue date, status, number, total, amounts) of what a customer was sent, by number; drafts last."""
    found = [
        (one.kind, one.issue_date, one.status, one.number, f"{one.total}", tuple(f"{line[3]}" for line in one.lines))
        for one in sandbox.documents(customer)
        if one.lines
    ]
    return sorted(found, key=lambda row: (row[3] is None, row[3], row[1]))


def due(sandbox: Sandbox, name: str) -> tuple[str, str]:
    """Where an invoice's payment stands, and what it asks for after the customer's credit."""
    shown = show_invoice(sandbox.billing, name)
    return str(shown["payment_status"]), str(shown["amount_due"])


# --- alone -------------------------------------------------------------------------------------------------------
def test_void_alone_waives_what_was_billed(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    made = voided(sandbox.at("2026-02-02"), name)
    assert (made.number, made.total, made.reissue, made.reissue_total) == (name, "50.00", None, None)
    assert due(sandbox, name)[0] == "not_due"
    late(sandbox, "2026-02-10", ("acme", 5))
    ticks(sandbox, "2026-03-01")
    assert books(sandbox, "acme") == [
        ("closing", "2026-02-01", "void", name, "50.00", ("50.00",)),
        ("closing", "2026-03-01", "finalized", number(sandbox, "acme", issued="2026-03-01"), "5.00", ("5.00",)),
    ]


def test_a_void_invoice_is_neither_delivered_nor_marked_paid(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    voided(sandbox, name)
    ticks(sandbox, "2026-02-02", "2026-02-10")
    assert due(sandbox, name)[0] == "not_due"
    with pytest.raises(Refused, match="is void"):
        mark_paid(sandbox.billing, name)


# --- with a reissue ----------------------------------------------------------------------------------------------
def test_the_reissue_takes_the_next_number_and_late_usage_is_compared_with_it(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    last = max(str(row.number) for row in sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL"))
    made = voided(sandbox.at("2026-02-05"), name, reissue=True)
    assert made.reissue == f"2026-{int(last[5:]) + 1:06}"
    assert (made.total, made.reissue_total) == ("50.00", "50.00")
    assert (due(sandbox, name), due(sandbox, made.reissue)) == (("not_due", "50.00"), ("queued", "50.00"))
    late(sandbox, "2026-02-10", ("acme", 5))
    ticks(sandbox, "2026-03-01")
    assert [row[2:] for row in books(sandbox, "acme")] == [
        ("void", name, "50.00", ("50.00",)),
        ("finalized", made.reissue, "50.00", ("50.00",)),
        ("finalized", number(sandbox, "acme", issued="2026-03-01"), "5.00", ("5.00",)),
    ]
    assert [row.status for row in sandbox.query("SELECT status FROM payment_event WHERE status = 'queued'")]
    numbers = sorted(int(row.number[5:]) for row in sandbox.query("SELECT number FROM finalization WHERE number > ''"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_late_usage_known_by_then_is_on_the_reissue_and_on_nothing_else(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-03", ("acme", 5))
    assert books(sandbox, "acme")[-1][2:] == ("draft", None, "5.00", ("5.00",))
    assert voided(sandbox.at("2026-02-05"), number(sandbox, "acme"), reissue=True).reissue_total == "55.00"
    ticks(sandbox, "2026-02-05", "2026-03-01")
    assert [row[4] for row in books(sandbox, "acme")] == ["50.00", "55.00"]


def test_late_usage_that_nobody_has_metered_yet_is_on_the_reissue_too(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-20", 5))
    assert voided(sandbox, number(sandbox, "acme"), reissue=True).reissue_total == "55.00"
    ticks(sandbox, "2026-02-05", "2026-03-01")
    assert [row[4] for row in books(sandbox, "acme")] == ["50.00", "55.00"]


def test_adjustments_billed_elsewhere_for_it_are_undone_on_the_reissue(sandbox: Sandbox) -> None:
    """The next document that carries adjustments is the reissue itself: nobody is asked for the 5 twice."""
    late(sandbox, "2026-02-10", ("acme", 5))
    ticks(sandbox, "2026-03-01")
    assert voided(sandbox.at("2026-03-05"), number(sandbox, "acme"), reissue=True).reissue_total == "50.00"
    sandbox.land(use("acme", "api", "2026-03-05", 20))
    late(sandbox, "2026-03-10", ("acme", 2), timestamp="2026-01-21")
    ticks(sandbox, "2026-04-01", "2026-05-01")
    assert [row[4:] for row in books(sandbox, "acme")] == [
        ("50.00", ("50.00",)),
        ("5.00", ("5.00",)),
        ("50.00", ("55.00", "-5.00")),
        ("22.00", ("20.00", "2.00")),
    ]


def test_what_undoes_an_adjustment_is_undone_with_it(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", ("acme", 5))
    ticks(sandbox, "2026-03-01")
    carrier = number(sandbox, "acme", issued="2026-03-01")
    first = voided(sandbox.at("2026-03-05"), number(sandbox, "acme"), reissue=True)
    again = voided(sandbox, str(first.reissue), reissue=True)
    assert again.reissue_total == "50.00"
    with pytest.raises(Refused, match="is void already"):
        voided(sandbox, str(first.reissue))
    # The 5 that the carrier billed are on the reissue; once the carrier is issued again, what undid them is undone.
    assert voided(sandbox, carrier, reissue=True).reissue_total == "5.00"
    ticks(sandbox, "2026-03-06", "2026-04-01", "2026-05-01")
    assert sorted(row[4] for row in books(sandbox, "acme") if row[2] == "finalized") == ["5.00", "50.00"]


def test_the_document_that_carried_an_adjustment_carries_it_again(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", ("acme", 5))
    sandbox.land(use("acme", "api", "2026-02-05", 20))
    ticks(sandbox, "2026-03-01")
    name = number(sandbox, "acme", issued="2026-03-01")
    late(sandbox, "2026-03-02", ("acme", 3), timestamp="2026-01-21")
    made = voided(sandbox.at("2026-03-03"), name, reissue=True)
    assert (made.total, made.reissue_total) == ("25.00", "28.00")
    ticks(sandbox, "2026-03-03", "2026-04-01")
    assert [row[2:5:2] for row in books(sandbox, "acme")] == [
        ("finalized", "50.00"),
        ("void", "25.00"),
        ("finalized", "28.00"),
    ]


def test_a_reissue_is_issued_again(sandbox: Sandbox) -> None:
    first = voided(sandbox, number(sandbox, "acme"), reissue=True)
    late(sandbox, "2026-02-03", ("acme", 5))
    assert first.reissue is not None
    second = voided(sandbox, first.reissue, reissue=True)
    assert (second.number, second.reissue_total) == (first.reissue, "55.00")
    assert second.reissue is not None
    late(sandbox, "2026-02-04", ("acme", 1), timestamp="2026-01-21")
    voided(sandbox, second.reissue)
    ticks(sandbox, "2026-03-01")
    assert [row[2:5:2] for row in books(sandbox, "acme")] == [
        ("void", "50.00"),
        ("void", "50.00"),
        ("void", "55.00"),
        ("finalized", "1.00"),
    ]


def test_a_volume_price_is_applied_to_all_that_is_known(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-03", ("vol", 100))
    assert [row.quantity for row in sandbox.query("SELECT quantity FROM not_billable")] == [100]
    assert voided(sandbox, number(sandbox, "vol"), reissue=True).reissue_total == "10.80"
    ticks(sandbox, "2026-02-04", "2026-03-01")
    assert [row[4] for row in books(sandbox, "vol")] == ["3.50", "10.80"]
    assert sandbox.query("SELECT quantity FROM not_billable") == []


def test_where_nothing_is_left_to_bill_the_reissue_is_not_issued(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-05", 0, retract="true"))
    made = voided(sandbox, number(sandbox, "acme"), reissue=True)
    assert (made.reissue, made.reissue_total) == (None, "0.00")
    late(sandbox, "2026-02-10", ("acme", 4))
    ticks(sandbox, "2026-03-01")
    assert [row[2:5:2] for row in books(sandbox, "acme")] == [("void", "50.00"), ("finalized", "4.00")]


# --- each kind of document ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "issued", "total"),
    [("opening", "2026-01-01", "100.00"), ("closing", "2026-02-01", "107.00"), ("delayed", "2026-02-06", "5.00")],
)
def test_each_kind_is_issued_again_as_it_was(sandbox: Sandbox, kind: str, issued: str, total: str) -> None:
    ticks(sandbox, "2026-02-06")
    made = voided(sandbox, number(sandbox, "beta", kind, issued), reissue=True)
    assert (made.total, made.reissue_total) == (total, total)
    ticks(sandbox, "2026-02-07", "2026-03-01", "2026-03-06")
    standing = [row[4] for row in books(sandbox, "beta") if row[2] == "finalized"]
    assert sorted(standing) == ["100.00", "100.00", "107.00", "5.00"]


def test_an_opening_is_void_while_its_period_runs(postgres: Server, tmp_path: Path) -> None:
    with open_sandbox(postgres, tmp_path, CATALOG) as sandbox:
        ticks(sandbox, "2026-01-02")
        made = voided(sandbox.at("2026-01-05"), number(sandbox, "beta", "opening", "2026-01-01"), reissue=True)
        sandbox.at("2026-01-31").land(use("beta", "api", "2026-01-05", 7))
        sandbox.at("2026-02-01").land(use("beta", "api", "2026-01-06", 1))
        ticks(sandbox, "2026-02-01", "2026-03-01")
        assert [row[:1] + row[2:5] for row in books(sandbox, "beta")[:3]] == [
            ("opening", "void", "2026-000001", "100.00"),
            ("opening", "finalized", made.reissue, "100.00"),
            ("closing", "finalized", "2026-000003", "107.00"),
        ]


def test_fees_that_a_later_plan_put_on_its_date_are_on_the_reissue(sandbox: Sandbox) -> None:
    """The fee of February, billed in advance, has become 160: the reissue says so, and nothing adjusts it."""
    change_customer(sandbox.at("2026-02-05").billing, AssignPlan("beta", "grown", start="current-period"))
    ticks(sandbox, "2026-02-05")
    assert {"-100.00", "160.00"} <= {amount for row in books(sandbox, "beta") for amount in row[5]}
    made = voided(sandbox, number(sandbox, "beta"), reissue=True)
    assert made.reissue_total == "167.00"
    ticks(sandbox, "2026-02-06", "2026-03-01")
    lines = [amount for row in books(sandbox, "beta") for amount in row[5] if row[2] == "finalized"]
    assert sorted(lines) == ["100.00", "160.00", "160.00", "5.00", "7.00"]


def test_a_document_of_its_own_for_late_usage_is_issued_again(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", ("gone", 5))
    ticks(sandbox, "2026-03-01")
    name = number(sandbox, "gone", "adjustment", "2026-03-01")
    made = voided(sandbox.at("2026-03-02"), name, reissue=True)
    assert (made.total, made.reissue_total) == ("5.00", "5.00")
    late(sandbox, "2026-03-10", ("gone", 1), timestamp="2026-01-21")
    ticks(sandbox, "2026-04-01", "2026-05-01")
    assert [row[:1] + row[2:5:2] for row in books(sandbox, "gone")] == [
        ("closing", "finalized", "50.00"),
        ("adjustment", "void", "5.00"),
        ("adjustment", "finalized", "5.00"),
        ("adjustment", "finalized", "1.00"),
    ]


def test_the_last_invoice_of_somebody_who_left_is_issued_again(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", ("gone", 5))
    ticks(sandbox, "2026-03-01")
    voided(sandbox.at("2026-03-02"), number(sandbox, "gone"), reissue=True)
    ticks(sandbox, "2026-03-02", "2026-04-01", "2026-05-01")
    assert [row[:1] + row[2:5:2] for row in books(sandbox, "gone")] == [
        ("closing", "void", "50.00"),
        ("adjustment", "finalized", "5.00"),
        ("closing", "finalized", "50.00"),
    ]


# --- customer credit ---------------------------------------------------------------------------------------------
def test_credit_that_a_void_invoice_used_is_the_customers_again(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-05", 20))  # 30 less
    ticks(sandbox, "2026-02-03", "2026-03-01")
    assert books(sandbox, "acme")[-1][4] == "-30.00"
    sandbox.at("2026-03-05").land(use("acme", "api", "2026-03-05", 100))
    ticks(sandbox, "2026-03-05", "2026-04-01")
    name = number(sandbox, "acme", issued="2026-04-01")
    assert due(sandbox, name)[1] == "70.00"
    with pytest.raises(Refused, match="gave customer credit that later invoices used"):
        voided(sandbox, number(sandbox, "acme", issued="2026-03-01"))
    made = voided(sandbox, name, reissue=True)
    assert due(sandbox, str(made.reissue))[1] == "70.00"
    voided(sandbox, str(made.reissue))
    sandbox.at("2026-04-05").land(use("acme", "api", "2026-04-05", 10))
    ticks(sandbox, "2026-04-05", "2026-05-01")
    assert due(sandbox, number(sandbox, "acme", issued="2026-05-01")) == ("not_due", "0.00")


def test_credit_that_only_a_draft_would_use_does_not_stop_a_void(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-03").land(use("acme", "api", "2026-01-05", 20))
    ticks(sandbox, "2026-02-03", "2026-03-01")
    sandbox.at("2026-03-05").land(use("acme", "api", "2026-03-05", 100))
    ticks(sandbox, "2026-03-05")
    voided(sandbox, number(sandbox, "acme", issued="2026-03-01"))
    ticks(sandbox, "2026-04-01")
    assert due(sandbox, number(sandbox, "acme", issued="2026-04-01"))[1] == "100.00"


# --- payments, refusals, races -----------------------------------------------------------------------------------
def paid_by_gateway(sandbox: Sandbox, name: str, status: PaymentStatus) -> None:
    """As if a gateway collected: a manual payment is nobody's but ours."""
    sandbox.rewrite_as_owner("payment_request", "UPDATE payment_request SET gateway = 'file'")
    sandbox.rewrite_as_owner("payment_event", "DELETE FROM payment_event WHERE status = 'submitted'")
    if status is PaymentStatus.QUEUED:
        return
    with sandbox.billing.ledger.begin() as connection:
        (row,) = sandbox.query("SELECT document FROM finalization WHERE number = :name", name=name)
        payments.record(connection, [PaymentStep(row.document, status, "", "ref")], sandbox.billing.now(), "test")


@pytest.mark.parametrize("status", [PaymentStatus.QUEUED, PaymentStatus.FAILED, PaymentStatus.AWAITING_PAYMENT_METHOD])
def test_a_payment_that_is_still_ours_is_stopped_for_good(sandbox: Sandbox, status: PaymentStatus) -> None:
    name = number(sandbox, "acme")
    paid_by_gateway(sandbox, name, status)
    voided(sandbox, name)
    ticks(sandbox, "2026-02-02", "2026-02-20")
    (row,) = sandbox.query("SELECT p.* FROM payment AS p JOIN finalization USING (document) WHERE number = :n", n=name)
    reference, attempts = None if status is PaymentStatus.QUEUED else "ref", int(status is PaymentStatus.FAILED)
    assert (row.status, row.reference, row.attempts, row.next_attempt_at) == ("not_due", reference, attempts, None)


@pytest.mark.parametrize("status", [PaymentStatus.SUBMITTED, PaymentStatus.PAID])
def test_an_invoice_that_is_on_its_way_or_paid_is_not_void(sandbox: Sandbox, status: PaymentStatus) -> None:
    name = number(sandbox, "acme")
    paid_by_gateway(sandbox, name, status)
    with pytest.raises(Refused, match=f"is {status}") as refusal:
        voided(sandbox, name, reissue=True)
    assert "billing invoices credit" in str(refusal.value.hint)
    assert due(sandbox, name)[0] == status


def test_what_cannot_be_void_is_refused(sandbox: Sandbox) -> None:
    draft = next(str(one["id"]) for one in list_invoices(sandbox.billing, empty=True) if one["status"] == "draft")
    with pytest.raises(Refused, match="is a draft"):
        voided(sandbox, draft)
    with pytest.raises(Refused, match="There is no invoice '2026-009999'"):
        voided(sandbox, "2026-009999")
    name = number(sandbox, "acme")
    voided(sandbox, name, reissue=True)
    with pytest.raises(Refused, match="is void already"):
        voided(sandbox, name, reissue=True)
    ticks(sandbox, "2026-03-01")
    (empty,) = sandbox.query("""
        SELECT d.id FROM document AS d JOIN finalization AS f ON f.document = d.id
        JOIN customer AS c ON c.code = d.customer WHERE f.number IS NULL AND c.id = 'acme' AND d.kind = 'closing'""")
    with pytest.raises(Refused, match="has no lines, so it was not issued"):
        voided(sandbox, str(empty.id))


def test_a_dry_run_says_the_same_and_writes_nothing(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-03", ("acme", 5))
    name = number(sandbox, "acme")
    before = counted(sandbox)
    made = void(sandbox.billing, name, reason="r", reissue=True, dry_run=True)
    assert counted(sandbox) == before
    assert made.dry_run
    done = void(sandbox.billing, name, reason="r", reissue=True)
    assert replace(done, reissue=None, dry_run=True) == made


@pytest.mark.parametrize("place", ["finalization.finalize", "late_usage.mark_carried", "revisits.ask_again"])
def test_what_ends_in_the_middle_leaves_nothing_and_can_be_repeated(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    name, before = number(sandbox, "acme"), counted(sandbox)

    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"billing_pipeline.ledger.documents.{place}", end)
        with pytest.raises(KeyboardInterrupt):
            voided(sandbox, name, reissue=True)
    assert counted(sandbox) == before
    assert voided(sandbox, name, reissue=True).reissue == f"2026-{before[-1] + 1:06}"


def counted(sandbox: Sandbox) -> list[int]:
    tables = ("document", "document_version", "document_void", "finalization", "payment_event", "revisit", "input_set")
    counts = [sandbox.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
    return [*counts, sandbox.query("SELECT last FROM number_counter")[0][0]]


def test_of_two_at_once_one_wins(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    others = [sandbox.another(), sandbox.another()]

    def one(billing: object) -> str:
        try:
            return str(void(billing, name, reason="r", reissue=True).reissue)  # type: ignore[arg-type]
        except Refused as refusal:
            return refusal.message

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(one, others))
    for other in others:
        other.ledger.close()
    assert said[1] == f"Invoice {name} is void already."
    assert [row[2] for row in books(sandbox, "acme")] == ["void", "finalized"]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM document_void",
        "UPDATE document_void SET replaced_by = NULL",
        "UPDATE finalization SET number = 'x'",
        "UPDATE document_line SET amount_minor = 0",
    ],
)
def test_the_database_refuses_to_take_it_back(sandbox: Sandbox, change: str) -> None:
    voided(sandbox, number(sandbox, "acme"), reissue=True)
    with pytest.raises(DBAPIError):
        sandbox.query(change)


# --- as it was known ---------------------------------------------------------------------------------------------
def test_lists_as_known_before_the_void_do_not_know_it(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-03", ("acme", 5))
    then = list_invoices(sandbox.at("2026-02-04").billing, as_known_at=instant("2026-02-03"), customer="acme")
    voided(sandbox.at("2026-02-05"), number(sandbox, "acme"), reissue=True)
    ticks(sandbox, "2026-02-06", "2026-03-01", "2026-03-02")
    again = list_invoices(sandbox.billing, as_known_at=instant("2026-02-03"), customer="acme")
    assert [(one["status"], one["total"]) for one in again] == [("finalized", "50.00"), ("draft", "5.00")]
    assert [(one["id"], one["total"], one["lines"]) for one in again] == [
        (one["id"], one["total"], one["lines"]) for one in then
    ]
    after = list_invoices(sandbox.billing, as_known_at=instant("2026-02-06"), customer="acme")
    assert [(one["status"], one["total"]) for one in after] == [("void", "50.00"), ("finalized", "55.00")]


def test_a_reissue_names_the_usage_files_of_its_adjustments_too(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", ("acme", 5))
    sandbox.land(use("acme", "api", "2026-02-11", 3))
    ticks(sandbox, "2026-03-01")
    name = number(sandbox, "acme", issued="2026-03-01")
    made = voided(sandbox.at("2026-03-02"), name, reissue=True)
    assert (made.total, made.reissue_total) == ("8.00", "8.00")
    assert files_of(sandbox, str(made.reissue)) == files_of(sandbox, name)


def files_of(sandbox: Sandbox, name: str) -> set[str]:
    """The usage files that an invoice was computed from."""
    (row,) = sandbox.query(
        "SELECT s.content FROM finalization AS f JOIN input_set AS s ON s.fingerprint = f.inputs WHERE number = :name",
        name=name,
    )
    return {path for path, _ in row.content["files"]}
