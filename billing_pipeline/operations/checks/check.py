"""Check a period's usage: measure it, compare it with what is expected, hold whom an error names, show the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from time import monotonic
from typing import TYPE_CHECKING

from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import checks, holds
from billing_pipeline.ledger.documents.checks import Reason, StoredResult
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.operations.checks.check_report import CheckReport, Words, row_of, summary
from billing_pipeline.operations.checks.period_facts import MAGNITUDES, period_facts
from billing_pipeline.operations.closing.measure_customers import engine
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.usage import expectations
from billing_pipeline.usage.expectations import Check, Severity
from billing_pipeline.usage.profiles.facts import Figure
from billing_pipeline.usage.validate import Finding, Outcome, answered, places, question, validate

if TYPE_CHECKING:
    from billing_pipeline.usage.profile import Profile


def check(billing: Billing, period: BillingPeriod) -> CheckReport:
    """Run all checks of a period. Between the close, whose counts it looks at, and the lock, which reads the holds.

    Safe to repeat: while nothing is found that was not found before, nothing is written.

    Raises:
        UsageError: the lake cannot be read.
    """
    from billing_pipeline.usage.profile import profile  # with the engine

    started, now, thresholds = monotonic(), billing.now(), billing.settings.checks
    expected = expectations.checks(thresholds)
    with billing.ledger.begin() as connection:
        facts = period_facts(billing, connection, period, now, thresholds)
        before = checks.newest(connection, period.first_day)
    with engine(billing) as set_engine:
        measured = profile(set_engine, facts, thresholds, billing.watch(f"check {period.key}"))
    fingerprint = _fingerprint(measured, expected)
    results = [before[check.name] for check in expected if check.name in before]
    if len(results) < len(expected) or not all(_repeats(result, fingerprint) for result in results):
        findings = _findings(billing, measured, expected)
        with billing.ledger.begin() as connection:
            results = _store(connection, period, findings, measured, fingerprint, now)
    with billing.ledger.begin() as connection:
        held = _held(connection, period, expected)
    return CheckReport(
        period=period.key,
        ran_at=max(result.ran_at for result in results),
        rows=tuple(row_of(result) for result in results),
        held=held,
        events=measured.rows,
        seconds=monotonic() - started,
    )


def _fingerprint(measured: "Profile", expected: Sequence[Check]) -> str:
    """Equal where validating again would find the same."""
    return sha256(repr((measured, expected, code_version())).encode()).hexdigest()


def _repeats(result: StoredResult, fingerprint: str) -> bool:
    return result.details.get("profile") == fingerprint and result.outcome != Outcome.ERROR


def _findings(billing: Billing, measured: "Profile", expected: Sequence[Check]) -> list[Finding]:
    """What came of each check: as it was found before, of whatever period, or as the library finds it now."""
    questions = {check.name: _question(measured, check) for check in expected}
    with billing.ledger.begin() as connection:
        answers = checks.answers(connection, questions.values())
    new = [check for check in expected if questions[check.name] not in answers]
    findings = {finding.check.name: finding for finding in (validate(measured.frame(), new) if new else ())}
    return [
        findings.get(check.name) or answered(check, measured.figures, answers[questions[check.name]])
        for check in expected
    ]


def _question(measured: "Profile", check: Check) -> str:
    return question(check, measured.figures, code_version())


def _store(
    connection: Connection,
    period: BillingPeriod,
    findings: Sequence[Finding],
    measured: "Profile",
    fingerprint: str,
    now: datetime,
) -> list[StoredResult]:
    """Keep what was found, and the holds that follow from it."""
    named = sorted({code for finding in findings for row in finding.rows for code in measured.figures[row].customers})
    meters = {code: meter for meter, code in ledger_catalog.meter_codes(connection).items()}
    words = Words(checks.names(connection, named), meters)
    results = []
    for finding in findings:
        figures = [measured.figures[row] for row in finding.rows]
        details = words.details(finding, figures) | {"profile": fingerprint}
        details[checks.FAILING] = places(finding, measured.figures)
        if finding.check.name == expectations.ABSURD:
            details[MAGNITUDES] = measured.magnitudes
        results.append(
            StoredResult(
                finding.check.name,
                str(finding.check.severity),
                str(finding.outcome),
                summary(finding, figures),
                details,
                now,
                None if finding.outcome is Outcome.ERROR else _question(measured, finding.check),
            )
        )
        if finding.check.severity is Severity.ERROR and finding.check.holds and finding.outcome is not Outcome.ERROR:
            reasons = _reasons(connection, finding.check, figures, words, min(now, period.end))
            checks.hold(connection, period.first_day, finding.check.name, reasons, now)
    checks.store(connection, period.first_day, results)
    return results


def _reasons(
    connection: Connection, check: Check, figures: Sequence[Figure], words: Words, otherwise: datetime
) -> Mapping[int, Reason]:
    """Why each customer is held, by code: since what was found was received, where it came with a delivery.

    What came with none is wrong with the ledger or the lake; it holds what locks at the period's end, too.
    """
    received = manifest.received_at(connection, {figure.batch for figure in figures if figure.batch is not None})
    by_customer: dict[int, list[Figure]] = {}
    for figure in figures:
        for code in figure.customers:
            by_customer.setdefault(code, []).append(figure)
    return {
        code: Reason(
            "; ".join(words.reason(check, figure) for figure in of_customer),
            min(received.get(figure.batch or 0, otherwise) for figure in of_customer),
        )
        for code, of_customer in by_customer.items()
    }


def _held(connection: Connection, period: BillingPeriod, expected: Sequence[Check]) -> tuple[str, ...]:
    """Ids of the customers that a check holds now."""
    causes = {check.name for check in expected}
    open_holds = holds.placed(connection, period=period.first_day)
    return tuple(sorted({hold.customer for hold in open_holds if hold.cause in causes}))
