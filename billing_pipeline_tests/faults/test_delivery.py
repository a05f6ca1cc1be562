"""Delivery under fire: killed between submitting and recording, run twice at once, raced by people."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.payments.deliver import DeliverySummary, deliver
from billing_pipeline.operations.payments.payment_status import mark_paid
from billing_pipeline.payments.handoff import PaymentRequest, PaymentStatus, Submission
from billing_pipeline_tests.faults import deliver_and_stop
from billing_pipeline_tests.patience import PATIENCE_SECONDS, until, until_somebody_waits, what_was_written
from billing_pipeline_tests.payments.outbox_ledger import (
    another_process,
    apply,
    customer_entry,
    finalize,
    payment_of,
    sandbox,
    scripted,
    steps_of,
)
from billing_pipeline_tests.servers import Server


@pytest.fixture
def billing(postgres: Server, tmp_path: Path) -> Iterator[Billing]:
    with sandbox(postgres, tmp_path) as made:
        apply(made, customer_entry("acme"))
        yield made


Again = Callable[[], Billing]


@pytest.fixture
def again(billing: Billing) -> Iterator[Again]:
    """Opens the same ledger as another process would, with connections of its own."""
    opened = list[Billing]()

    def another() -> Billing:
        opened.append(another_process(billing))
        return opened[-1]

    yield another
    for one in opened:
        one.ledger.close()


def environment(billing: Billing) -> dict[str, str]:
    return os.environ | {"BILLING_DATABASE_URL": billing.ledger.url, "BILLING_HOME": str(billing.settings.home)}


@contextmanager
def stopped_delivery(billing: Billing) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real process that has submitted a payment and not recorded it, and the reference it was given."""
    command = [sys.executable, "-m", deliver_and_stop.__name__]
    with subprocess.Popen(command, env=environment(billing), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def deliver_until_moved(billing: Billing) -> DeliverySummary:
    """The server needs a moment to see that a client is gone; until then the payment is locked, and skipped."""
    summaries = list[DeliverySummary]()

    def moved() -> bool:
        summaries.append(deliver(billing))
        return summaries[-1] != DeliverySummary()

    until(moved, "the killed delivery's lock was never given back")
    return summaries[-1]


def test_killed_between_submitting_and_recording_it_is_submitted_again_and_collected_once(billing: Billing) -> None:
    identity = finalize(billing, "2026-000001")
    with stopped_delivery(billing) as (process, reference):
        assert reference == f"2026-000001-{identity}.json"
        process.kill()  # SIGKILL
        process.wait()
    (file,) = billing.settings.outbox.glob("*.json")
    written = what_was_written(file)
    assert payment_of(billing, "2026-000001").status is PaymentStatus.QUEUED
    assert deliver_until_moved(billing) == DeliverySummary(submitted=1)
    payment = payment_of(billing, "2026-000001")
    assert (payment.status, payment.reference, payment.attempts) == (PaymentStatus.SUBMITTED, reference, 0)
    assert list(billing.settings.outbox.glob("*.json")) == [file]
    assert what_was_written(file) == written
    assert steps_of(billing, "2026-000001") == ["queued", "submitted"]


def test_a_change_of_payment_method_after_the_kill_does_not_ask_twice(billing: Billing) -> None:
    finalize(billing, "2026-000001")
    with stopped_delivery(billing) as (_, reference):
        pass
    apply(billing, customer_entry("acme", gateway="file", reference="cus_new"))
    assert deliver_until_moved(billing) == DeliverySummary(submitted=1)
    assert payment_of(billing, "2026-000001").reference == reference
    assert len(list(billing.settings.outbox.glob("*.json"))) == 1


def test_a_delivery_that_hangs_holds_up_only_what_it_has_taken(billing: Billing, again: Again) -> None:
    finalize(billing, "2026-000001")
    with stopped_delivery(billing):
        finalize(billing, "2026-000002")
        assert deliver(again()) == DeliverySummary(submitted=1)
        assert payment_of(billing, "2026-000002").status is PaymentStatus.SUBMITTED
        assert steps_of(billing, "2026-000001") == ["queued"]


def test_deliveries_at_once_submit_each_invoice_once(
    billing: Billing, again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing_pipeline.operations.payments.deliver._BATCH", 4)
    numbers = [f"2026-{number:06}" for number in range(40)]
    for number in numbers:
        finalize(billing, number, gateway="card")
    asked, counting = Counter[str](), threading.Lock()
    everybody, came = threading.Barrier(4), threading.local()

    class Slow(scripted()):  # type: ignore[misc]
        def submit(self, request: PaymentRequest) -> Submission:
            if not hasattr(came, "here"):  # nobody goes on before everybody has taken some
                came.here = True
                everybody.wait(PATIENCE_SECONDS)
            with counting:
                asked[request.number] += 1
            return Submission(f"ref_{request.number}")

    with ThreadPoolExecutor(4) as pool:
        summaries = list(pool.map(lambda one: deliver(one, gateways={"card": Slow}), [again() for _ in range(4)]))
    assert asked == dict.fromkeys(numbers, 1)
    assert sum(summary.submitted for summary in summaries) == len(numbers)
    assert all(steps_of(billing, number) == ["queued", "submitted"] for number in numbers)


def test_processes_at_once_write_each_request_once(billing: Billing) -> None:
    numbers = [f"2026-{number:06}" for number in range(30)]
    for number in numbers:
        finalize(billing, number)
    program = (
        "from billing_pipeline.operations.context import Billing\n"
        "from billing_pipeline.operations.payments.deliver import deliver\n"
        "print(deliver(Billing.open()).submitted)"
    )
    command = [sys.executable, "-c", program]
    running = [subprocess.Popen(command, env=environment(billing), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=PATIENCE_SECONDS)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(map(int, said)) == len(numbers)
    contents = [json.loads(path.read_text()) for path in billing.settings.outbox.glob("*.json")]
    assert sorted(content["number"] for content in contents) == numbers
    assert all(steps_of(billing, number) == ["queued", "submitted"] for number in numbers)


def test_marking_paid_waits_for_a_delivery_that_has_the_invoice(billing: Billing, again: Again) -> None:
    """Else the delivery's commit would make a paid invoice 'submitted' again."""
    finalize(billing, "2026-000001", gateway="card")
    submitting, go_on = threading.Event(), threading.Event()

    class Slow(scripted()):  # type: ignore[misc]
        def submit(self, request: PaymentRequest) -> Submission:
            submitting.set()
            assert go_on.wait(PATIENCE_SECONDS)
            return Submission("ref")

    with ThreadPoolExecutor(2) as pool:
        delivery = pool.submit(deliver, again(), gateways={"card": Slow})
        assert submitting.wait(PATIENCE_SECONDS)
        marking = pool.submit(mark_paid, again(), "2026-000001")
        until_somebody_waits(billing.ledger)
        assert not marking.done()
        go_on.set()
        assert delivery.result().submitted == 1
        assert marking.result().changed
    assert steps_of(billing, "2026-000001") == ["queued", "submitted", "paid"]
    assert payment_of(billing, "2026-000001").status is PaymentStatus.PAID
