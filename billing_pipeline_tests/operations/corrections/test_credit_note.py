"""Credit notes: customer credit given back for an invoice, as goodwill or because it was billed wrongly."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy.exc import DBAPIError

from billing_pipeline.core.errors import BillingError, Refused
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.corrections.credit_note import Credited, credit
from billing_pipeline.operations.corrections.void import void
from billing_pipeline.operations.reading.invoices import list_invoices, show_invoice
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.histories.plain_metering import use_no_checks, use_plain_metering
from billing_pipeline_tests.sandbox import SOURCE, Sandbox, open_sandbox, use
from billing_pipeline_tests.servers import Server

D = Decimal
CATALOG = (
    SOURCE
    + """
account: {name: Example, currency: USD}
meters: [{id: api, aggregation: sum, dimensions: [region]}, {id: gb, aggregation: sum}]
plans:
  - {id: metered, prices: [{id: api, meter: api, price: {model: per_unit, unit_amount: 1}}]}
  - id: mixed
    fees: [{id: platform, amount: 100, every: month, timing: in_advance}]
    prices:
      - {id: api, meter: api, price: {model: per_unit, unit_amount: 1}}
      - {id: gb, meter: gb, price: {model: per_unit, unit_amount: "0.01"}}
customers:
  - {id: acme}
  - {id: beta, tax: [{name: VAT, percent: 19}, {name: Levy, percent: 0}]}
subscriptions:
  - {id: acme, customer: acme, plan: metered, start: 2026-01-01}
  - {id: beta, customer: beta, plan: mixed, start: 2026-01-01}
discounts: [{id: launch, customer: beta, percent: 10, start: 2026-02-01, end: 2026-03-01, prices: [platform]}]
"""
)


@pytest.fixture(scope="module")
def january(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The first of February. Acme was sent 50; beta 100.00 − 10.00, 20.00, 0.33, and 20.96 of tax: 131.29."""
    with open_sandbox(postgres, tmp_path_factory.mktemp("january"), CATALOG) as made:
        made.at("2026-01-20").land(
            use("acme", "api", "2026-01-05", 50),
            use("beta", "api", "2026-01-05", 20),
            use("beta", "gb", "2026-01-05", 33),
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


def late(sandbox: Sandbox, at: str, amount: int, timestamp: str = "2026-01-20") -> None:
    """Usage of January by acme, received at an instant and metered."""
    sandbox.at(at).land(use("acme", "api", timestamp, amount))
    ticks(sandbox, at)


def number(sandbox: Sandbox, customer: str, issued: str = "2026-02-01") -> str:
    """Of a closing invoice."""
    (found,) = [one.number for one in sandbox.documents(customer) if (one.kind, one.issue_date) == ("closing", issued)]
    assert found is not None
    return found


def given(sandbox: Sandbox, name: str, amount: str | None = None, **how: object) -> Credited:
    return credit(sandbox.billing, name, None if amount is None else D(amount), reason="sorry", **how)  # type: ignore[arg-type]


def lines(sandbox: Sandbox, made: Credited) -> list[tuple[object, object]]:
    """(price or description, amount) of a credit note."""
    assert made.number is not None
    shown: list[dict[str, object]] = show_invoice(sandbox.billing, made.number)["lines"]  # type: ignore[assignment]
    return [
        (one["price"] or one["adjusts" if one["kind"] == "adjustment" else "description"], one["amount"])
        for one in shown
    ]


def due(sandbox: Sandbox, name: str) -> tuple[str, str, str]:
    """Total, customer credit used, amount due."""
    shown = show_invoice(sandbox.billing, name)
    return str(shown["total"]), str(shown["customer_credit_applied"]), str(shown["amount_due"])


def refused(sandbox: Sandbox, name: str, amount: str | None = None, **how: object) -> str:
    with pytest.raises(BillingError) as refusal:
        given(sandbox, name, amount, **how)
    return refusal.value.message


# --- what counts as billed ---------------------------------------------------------------------------------------
def test_goodwill_is_a_gift_and_late_usage_is_compared_with_what_was_billed(sandbox: Sandbox) -> None:
    made = given(sandbox.at("2026-02-05"), number(sandbox, "acme"), "20")
    assert (made.total, made.credit, made.correction, made.number) == ("-20.00", "20.00", False, "2026-000004")
    late(sandbox, "2026-02-10", 30, timestamp="2026-01-05")  # restated: 20 less
    assert [one.total for one in sandbox.documents("acme") if one.status == "draft"] == [D(-20)]
    ticks(sandbox, "2026-03-01")
    sandbox.at("2026-03-05").land(use("acme", "api", "2026-03-05", 100))
    ticks(sandbox, "2026-03-05", "2026-04-01")
    assert due(sandbox, number(sandbox, "acme", "2026-04-01")) == ("100.00", "40.00", "60.00")


def test_a_correction_lowers_what_was_billed_so_that_it_is_not_given_twice(sandbox: Sandbox) -> None:
    made = given(sandbox.at("2026-02-05"), number(sandbox, "acme"), "20", correction=True)
    assert (made.total, made.correction) == ("-20.00", True)
    late(sandbox, "2026-02-10", 30, timestamp="2026-01-05")  # restated: 20 less, as the credit note says
    sandbox.land(use("acme", "api", "2026-02-05", 100))
    ticks(sandbox, "2026-03-01")
    assert due(sandbox, number(sandbox, "acme", "2026-03-01")) == ("100.00", "20.00", "80.00")


def test_of_a_correction_that_went_too_far_the_rest_is_billed_with_late_usage(sandbox: Sandbox) -> None:
    given(sandbox.at("2026-02-05"), number(sandbox, "acme"), "20", correction=True)
    late(sandbox, "2026-02-10", 35, timestamp="2026-01-05")
    ticks(sandbox, "2026-03-01")
    assert due(sandbox, number(sandbox, "acme", "2026-03-01")) == ("5.00", "5.00", "0.00")


def test_the_credit_is_used_on_the_next_documents_until_nothing_is_left(sandbox: Sandbox) -> None:
    given(sandbox.at("2026-02-05"), number(sandbox, "acme"), "30")
    sandbox.land(use("acme", "api", "2026-02-05", 10))
    ticks(sandbox, "2026-02-05")
    sandbox.at("2026-03-01").land(use("acme", "api", "2026-03-01", 25))
    ticks(sandbox, "2026-03-01", "2026-04-01")
    assert due(sandbox, number(sandbox, "acme", "2026-03-01")) == ("10.00", "10.00", "0.00")
    assert due(sandbox, number(sandbox, "acme", "2026-04-01")) == ("25.00", "20.00", "5.00")


# --- how much ----------------------------------------------------------------------------------------------------
def test_whole_it_is_the_invoice_with_the_signs_turned(sandbox: Sandbox) -> None:
    name = number(sandbox, "beta")
    made = given(sandbox, name)
    assert due(sandbox, name)[0] == "131.29"
    assert made.total == "-131.29"
    assert lines(sandbox, made) == [
        ("platform", "-100.00"),
        ("api", "-20.00"),
        ("gb", "-0.33"),
        ("platform", "10.00"),
        ("VAT 19%", "-20.96"),
        ("Levy 0%", "0.00"),
    ]
    assert refused(sandbox, name) == "0.00 USD cannot be credited: 0.00 USD are left."


def test_in_parts_it_gives_back_the_same_and_not_a_cent_more(sandbox: Sandbox) -> None:
    name = number(sandbox, "beta")
    parts = [given(sandbox, name, amount) for amount in ("0.01", "33.33", "50", "0.02")]
    parts.append(given(sandbox, name))
    assert sum((D(one.total) for one in parts), D(0)) == D("-131.29")
    assert parts[-1].credit == "131.29"
    assert refused(sandbox, name, "0.01") == "0.01 USD cannot be credited: 0.00 USD are left."


def test_one_line_gives_back_no_more_than_it_is(sandbox: Sandbox) -> None:
    name = number(sandbox, "beta")
    assert lines(sandbox, given(sandbox, name, "15", line=2))[0] == ("api", "-15.00")
    assert refused(sandbox, name, "5.01", line=2) == "5.01 USD cannot be credited: 5.00 USD are left."
    assert lines(sandbox, given(sandbox, name, line=2))[0] == ("api", "-5.00")
    assert refused(sandbox, name, line=2) == "0.00 USD cannot be credited: 0.00 USD are left."
    # The fee stands at 100, and the invoice, with its discount, at 90.33.
    assert refused(sandbox, name, "90.34", line=1) == "90.34 USD cannot be credited: 90.33 USD are left."
    rest = given(sandbox, name)
    assert [one for one in lines(sandbox, rest) if one[0] != "VAT 19%"] == [
        ("platform", "-100.00"),
        ("gb", "-0.33"),
        ("platform", "10.00"),
        ("Levy 0%", "0.00"),
    ]


@pytest.mark.parametrize(
    ("amount", "how", "says"),
    [
        ("50.01", {}, "50.01 USD cannot be credited: 50.00 USD are left."),
        ("0", {}, "0.00 USD cannot be credited: 50.00 USD are left."),
        ("-1", {}, "-1.00 USD cannot be credited: 50.00 USD are left."),
        ("0.001", {}, "0.001 USD is finer than the currency's 2 decimals."),
        ("1", {"line": 2}, "has no line 2 that can be lowered."),
        ("1", {"line": 0}, "has no line 0 that can be lowered."),
    ],
)
def test_what_cannot_be_given_back_is_refused(sandbox: Sandbox, amount: str, how: dict[str, int], says: str) -> None:
    assert refused(sandbox, number(sandbox, "acme"), amount, **how).endswith(says)


def test_tax_is_no_line_to_lower(sandbox: Sandbox) -> None:
    assert refused(sandbox, number(sandbox, "beta"), line=5).endswith("has no line 5 that can be lowered.")


# --- which documents ---------------------------------------------------------------------------------------------
def test_an_adjustment_is_corrected_as_what_it_adjusts(sandbox: Sandbox) -> None:
    late(sandbox, "2026-02-10", 5)
    ticks(sandbox, "2026-03-01")
    made = given(sandbox, number(sandbox, "acme", "2026-03-01"), "5", correction=True)
    late(sandbox, "2026-03-10", 1, timestamp="2026-01-21")
    ticks(sandbox, "2026-04-01")
    assert made.total == "-5.00"
    assert due(sandbox, number(sandbox, "acme", "2026-04-01")) == ("6.00", "5.00", "1.00")  # 56 used, 50 counts


def test_what_is_not_an_issued_invoice_is_refused(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    made = given(sandbox, name, "1")
    assert made.number is not None
    assert refused(sandbox, made.number).endswith("is a credit note itself.")
    with pytest.raises(Refused, match="is a credit note"):
        void(sandbox.billing, made.number, reason="r")
    with pytest.raises(Refused, match=f"is lowered by credit note {made.number}"):
        void(sandbox.billing, name, reason="r", reissue=True)
    draft = next(str(one["id"]) for one in list_invoices(sandbox.billing, empty=True) if one["status"] == "draft")
    assert refused(sandbox, draft).endswith("is a draft.")
    other = number(sandbox, "beta")
    again = void(sandbox.billing, other, reason="r", reissue=True)
    assert refused(sandbox, other) == f"Invoice {other} is void already."
    assert given(sandbox, str(again.reissue)).total == "-131.29"


# --- several, dry, raced -----------------------------------------------------------------------------------------
def test_several_on_a_day_are_documents_of_their_own(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    numbers = [given(sandbox, name, "1").number for _ in range(3)]
    assert numbers == ["2026-000004", "2026-000005", "2026-000006"]
    found = [one for one in list_invoices(sandbox.billing, customer="acme") if one["kind"] == "credit_note"]
    assert {(one["number"], one["total"], one["status"], one["payment_status"]) for one in found} == {
        (one, "-1.00", "finalized", "not_due") for one in numbers
    }
    assert {one["period"] for one in found} == {"2026-02-01"}


def test_a_dry_run_says_the_same_and_writes_nothing(sandbox: Sandbox) -> None:
    name = number(sandbox, "beta")
    before = sandbox.query("SELECT count(*), (SELECT last FROM number_counter) FROM document_version")
    dry = given(sandbox, name, "7", dry_run=True)
    assert sandbox.query("SELECT count(*), (SELECT last FROM number_counter) FROM document_version") == before
    assert sandbox.query("SELECT * FROM credit_note") == []
    assert replace(given(sandbox, name, "7"), number=None, dry_run=True) == dry


def test_of_two_at_once_that_give_all_one_wins(sandbox: Sandbox) -> None:
    name = number(sandbox, "acme")
    others = [sandbox.another(), sandbox.another()]

    def one(billing: Billing) -> str:
        try:
            return str(credit(billing, name, reason="r").total)
        except Refused as refusal:
            return refusal.message

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(one, others))
    for other in others:
        other.ledger.close()
    assert said == ["-50.00", "0.00 USD cannot be credited: 0.00 USD are left."]


def test_two_at_once_for_invoices_of_different_periods_are_two(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-05").land(use("acme", "api", "2026-02-05", 10))
    ticks(sandbox, "2026-02-05", "2026-03-01")
    names = [number(sandbox, "acme"), number(sandbox, "acme", "2026-03-01")]
    others = [sandbox.another(), sandbox.another()]
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda pair: credit(pair[0], pair[1], D(1), reason="r"), zip(others, names, strict=True)))
    for other in others:
        other.ledger.close()
    assert len({one.number for one in made}) == 2
    assert max(D(one.credit) for one in made) == 2


@pytest.mark.parametrize("change", ["DELETE FROM credit_note", "UPDATE credit_note SET correction = true"])
def test_the_database_refuses_to_change_it(sandbox: Sandbox, change: str) -> None:
    given(sandbox, number(sandbox, "acme"), "1")
    with pytest.raises(DBAPIError):
        sandbox.query(change)


def test_version_one_is_what_was_known_at_the_periods_end_also_beside_a_credit_note(sandbox: Sandbox) -> None:
    sandbox.at("2026-02-05").land(use("acme", "api", "2026-02-05", 10))
    sandbox.apply("account: {name: Example, currency: USD, grace: 3 days}")
    ticks(sandbox, "2026-02-05")
    given(sandbox, number(sandbox, "acme"), "1")  # final in February, before any run after its end
    sandbox.at("2026-03-01").land(use("acme", "api", "2026-02-06", 5))
    ticks(sandbox, "2026-03-02")
    (closing,) = [one for one in sandbox.documents("acme", "2026-02-01") if one.kind == "closing"]
    assert (closing.version, closing.total) == (2, D(15))
    versions = sandbox.query("""
        SELECT v.total_minor FROM document_version AS v JOIN document AS d ON d.id = v.document
        WHERE d.kind = 'closing' AND d.period = '2026-02-01' AND d.customer = (
            SELECT code FROM customer WHERE id = 'acme') ORDER BY version""")
    assert [row.total_minor for row in versions] == [1000, 1500]
