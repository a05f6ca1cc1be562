"""Windows on demand: all that are over and due become documents, final at once, in order for each customer.

Run twice, raced or killed, each window is done once: who processes one holds its bucket, the window's row is unique and
names its document, and the ledger refuses one that is out of order, is not over, or leaves out what was received before
its end. A customer who is held, or whose usage no check has looked at, waits with this window and all later ones.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from billing_pipeline.catalog.terms import CatalogView, Terms
from billing_pipeline.core.errors import RatingError
from billing_pipeline.core.money import Money
from billing_pipeline.core.period import BillingPeriod
from billing_pipeline.core.plain_json import Json, fields_json
from billing_pipeline.invoicing.document import Document
from billing_pipeline.invoicing.on_demand import (
    PhaseState,
    StretchWindow,
    bill_window,
    ending,
    period_of_window,
    window_document,
    window_end,
    window_plan,
)
from billing_pipeline.ledger import catalog as ledger_catalog
from billing_pipeline.ledger.database import Connection
from billing_pipeline.ledger.documents import customer_credit, finalization, holds, payments, revisits, states
from billing_pipeline.ledger.documents import on_demand as windows
from billing_pipeline.ledger.documents.finalization import Finalization
from billing_pipeline.ledger.documents.on_demand import DueWindow, Kept, NewWindow, Processed
from billing_pipeline.ledger.documents.payments import PaymentDue
from billing_pipeline.ledger.documents.states import NewState
from billing_pipeline.ledger.periods import periods, runs
from billing_pipeline.ledger.usage import manifest
from billing_pipeline.metering.segments import LENGTHS, SegmentKey, Stretch, on_demand
from billing_pipeline.operations.context import Billing, code_version
from billing_pipeline.operations.locking.lock import wait_for_writers
from billing_pipeline.operations.on_demand.measure import Question, brought
from billing_pipeline.operations.parallel import run_units
from billing_pipeline.operations.unit import AsOf, Unit, terms_of
from billing_pipeline.rating.on_demand import Brought, Combination, Reached

_ROWS_PER_WINDOW = 1000  # that measuring a window touches, about
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class WindowsReport:
    """What invoicing windows on demand did.

    Attributes:
        windows: how many were processed.
        issued: how many of them gave a document.
        queued: how many of these ask for a payment.
        waiting: how many that are over wait, with why.
    """

    windows: int
    issued: int
    queued: int
    waiting: int
    seconds: float

    def to_json(self) -> Json:
        """As the command line prints it."""
        return fields_json(self, "windows", "issued", "queued", "waiting", "seconds")


def windows_due(billing: Billing) -> bool:
    """Whether anything is sold on demand, and something may be due: a batch or change before the hour, or a window."""
    now = billing.now()
    with billing.ledger.begin() as connection:
        return windows.sells(connection) and windows.anything(connection, _full_hour(now), now)


def invoice_windows(billing: Billing, before: datetime | None = None) -> WindowsReport:
    """Process all windows that are over by now, oldest first, one document each where there is something to invoice.

    Args:
        billing: of the run.
        before: only those that end before this instant, when other documents lock: the earlier one uses credit first.
    """
    started, now = monotonic(), billing.now()
    counts: Counter[str] = Counter()
    with billing.ledger.begin() as connection:
        sells = windows.sells(connection)
    if sells:
        wait_for_writers(billing)  # what is received or recorded from here on is so at or after now
        progress = billing.watch("windows on demand")
        rows = billing.calendar.period_of(now) and _rows(billing, now)
        for counted in run_units(billing, invoice_unit, rows or 0, now, before, progress=progress):
            counts.update(counted)
    seconds = monotonic() - started
    return WindowsReport(counts["windows"], counts["issued"], counts["queued"], counts["waiting"], seconds)


def _rows(billing: Billing, now: datetime) -> int:
    with billing.ledger.begin() as connection:
        return _ROWS_PER_WINDOW * len(windows.due(connection, tuple(billing.buckets), now))


def invoice_unit(billing: Billing, now: datetime, before: datetime | None, buckets: Unit) -> dict[str, int]:
    """Find and process the windows of these buckets, a transaction for all that end at one instant."""
    counts: Counter[str] = Counter()
    with billing.ledger.begin() as connection:
        _find_due(billing, connection, buckets, now)
    waiting = set[int]()  # customers whose later windows wait, too
    done: datetime | None = None
    while True:
        with billing.ledger.begin() as connection:
            ends = [window.window_end for window in windows.due(connection, buckets, now)]
            end = min((end for end in ends if done is None or end > done), default=None)
            if end is None or (before is not None and end >= before):
                return counts
            counts.update(_WindowEnd.of(billing, connection, buckets, end, now).process(waiting))
        done = end


def _full_hour(now: datetime) -> datetime:
    return window_end(now, "hour") - _HOUR


def _find_due(billing: Billing, connection: Connection, buckets: Unit, now: datetime) -> None:
    """Note the windows in which something arrived, or usage became a phase's, since it was looked at last.

    Usage that was received before its subscription was recorded is in the first window that ends after the recording.
    """
    batch, change = windows.take_progress(connection, buckets)
    as_of = AsOf.before(connection, _full_hour(now))
    if as_of.batch <= batch and as_of.change <= change:
        return
    causes = windows.arrived(connection, buckets, batch, as_of.batch)
    causes += windows.changed(connection, buckets, change, as_of.change)
    customers = sorted({customer for _, customer, _ in causes})
    view = billing.view(connection, as_of.change, customers=customers)
    lengths = {
        customer: {stretch.plan.window for stretch in on_demand(terms, LENGTHS)}
        for customer, terms in terms_of(view, customers).items()
    }
    windows.note_due(
        connection,
        ((code, window_end(at, every)) for code, customer, at in causes for every in lengths.get(customer, ())),
    )
    windows.advance(connection, buckets, max(batch, as_of.batch), max(change, as_of.change))


@dataclass(frozen=True, slots=True)
class _Customer:
    """A customer whose window is processed.

    Attributes:
        questions: the prices on demand, and what of their usage earlier windows counted.
        before: where these left each combination of values.
        anew: prices whose phase counts other usage than it did: all of it is looked at again.
    """

    code: int
    terms: Terms
    questions: Sequence[Question]
    before: Mapping[SegmentKey, Mapping[Combination, PhaseState]]
    anew: Collection[SegmentKey]


@dataclass(frozen=True, slots=True)
class _Billed:
    """A customer's window as it was computed, by the catalog as of a change: its state, and the document if any."""

    change: int
    customer: _Customer
    parts: Sequence[tuple[Stretch, StretchWindow]]
    document: Document | None


@dataclass(frozen=True, slots=True)
class _WindowEnd:
    """All windows of some buckets that end at one instant, in one transaction.

    Attributes:
        period: the one that holds the windows' last instant.
        as_of: the batches and changes before the end.
    """

    billing: Billing
    connection: Connection
    buckets: Unit
    end: datetime
    now: datetime
    period: BillingPeriod
    as_of: AsOf

    @classmethod
    def of(cls, billing: Billing, connection: Connection, buckets: Unit, end: datetime, now: datetime) -> "_WindowEnd":
        """Hold the buckets, in all periods and for windows."""
        period = period_of_window(end, billing.calendar)
        assert period is not None, "nothing is received before the first period"  # noqa: S101
        periods.lock_everywhere(connection, buckets)
        periods.lock_buckets(connection, period.first_day, buckets)
        windows.take_progress(connection, buckets)
        return cls(billing, connection, buckets, end, now, period, AsOf.before(connection, end))

    def process(self, waiting: set[int]) -> Counter[str]:
        """Process the windows of those who need not wait; who must is added to ``waiting``."""
        due = [one for one in windows.due(self.connection, self.buckets, self.end) if one.window_end == self.end]
        ready = [window for window in due if window.code not in waiting]
        reasons = self._held(ready)
        ready = [window for window in ready if window.code not in reasons]
        billed: list[_Billed] = []
        problems: dict[int, str] = {}
        for change, same in self._by_change(ready).items():
            of_change, unbillable = self._bill(same, change)
            billed += of_change
            problems |= unbillable
        if problems:  # what mends a price is recorded later than the window's end
            newest = ledger_catalog.newest_change(self.connection)
            again, problems = self._bill([window for window in ready if window.code in problems], newest)
            billed += again
        reasons |= problems
        windows.note_waiting(self.connection, self.end, reasons)
        waiting.update(reasons)
        counts = self._write(billed)
        counts["waiting"] = len(due) - len(billed)
        return counts

    def _by_change(self, due: Sequence[DueWindow]) -> dict[int, list[DueWindow]]:
        """The windows by the catalog change that they are rated by: the last one before their end.

        Where an earlier window of the customer needed a newer one, that: what is sold never goes back.
        """
        known = windows.processed(self.connection, [window.code for window in due])
        by_change: dict[int, list[DueWindow]] = defaultdict(list)
        for window in due:
            earlier = known[window.code].change if window.code in known else 0
            by_change[max(self.as_of.change, earlier)].append(window)
        return by_change

    def _held(self, due: Sequence[DueWindow]) -> dict[int, str]:
        """Who waits: for a hold of a period that the window's usage is of, or for the checks of that."""
        codes = {window.code for window in due}
        known = windows.processed(self.connection, codes)
        after = {code: known[code].batch if code in known else 0 for code in codes}
        days = manifest.days_after(self.connection, set(after.values()), self.as_of.batch)
        unchecked = runs.unchecked(self.connection, set().union(*days.values()), self.as_of.batch)
        held = {
            day: holds.open_holds(self.connection, day) for day in {self.period.first_day, *set().union(*days.values())}
        }
        reasons: dict[int, str] = {}
        for code in sorted(codes):
            of_window = {self.period.first_day, *days[after[code]]}
            for day in sorted(of_window):
                if code in held[day]:
                    reasons[code] = f"a hold ({held[day][code].cause}) of {day.isoformat()}"
            if code not in reasons and (behind := days[after[code]] & unchecked):
                reasons[code] = f"checks of {', '.join(day.isoformat() for day in sorted(behind))}"
        return reasons

    def _bill(self, due: Sequence[DueWindow], change: int) -> tuple[list[_Billed], dict[int, str]]:
        """The customers' windows, by the catalog as of a change; and why some cannot be billed."""
        view = self.billing.view(self.connection, change, customers=[window.customer for window in due])
        customers = list(self._customers(due, view))
        questions = [question for customer in customers for question in customer.questions]
        answers = iter(
            brought(self.billing, self.connection, view, self.buckets, questions, self.as_of.batch) if questions else ()
        )
        codes = [customer.code for customer in customers]
        used = windows.discounts_used(self.connection, codes, self.period.first_day)
        credit = customer_credit.credit(self.connection, codes)
        billed, problems = [], dict[int, str]()
        for customer in customers:
            of_customer = [(question, next(answers)) for question in customer.questions]
            try:
                parts = self._parts(customer, of_customer)
            except RatingError as error:
                problems[customer.code] = f"usage without an amount: {error}"
                continue
            document = self._document(customer, parts, used[customer.code], credit.get(customer.code, 0))
            billed.append(_Billed(change, customer, parts, document))
        return billed, problems

    def _customers(self, due: Sequence[DueWindow], view: CatalogView) -> Iterator[_Customer]:
        codes = [window.code for window in due]
        kept, known = windows.kept(self.connection, codes), windows.processed(self.connection, codes)
        corrected = windows.corrected(self.connection, codes)
        terms = terms_of(view, [window.customer for window in due])
        for window in due:
            of_customer = terms[window.customer]
            before: dict[SegmentKey, dict[Combination, PhaseState]] = defaultdict(dict)
            ends: dict[SegmentKey, set[datetime | None]] = defaultdict(set)
            currency = of_customer.customer.currency
            for state in kept[window.code]:
                key = SegmentKey(*state.key)
                ends[key].add(state.phase_end)
                before[key][state.dimensions] = PhaseState(
                    Reached(state.quantity, state.due, state.memory),
                    Money(state.invoiced, currency),
                    Money(corrected.get((window.code, state.key, state.dimensions), 0), currency),
                )
            stretches = list(on_demand(of_customer, ending(self.end)))
            anew = {stretch.key for stretch in stretches if ends[stretch.key] - {stretch.end}}
            questions = [
                Question(window.code, one, 0 if one.key in anew else self._after(one, before, known.get(window.code)))
                for one in stretches
            ]
            yield _Customer(window.code, of_customer, questions, before, anew)

    @staticmethod
    def _after(
        stretch: Stretch, before: Mapping[SegmentKey, Mapping[Combination, PhaseState]], known: Processed | None
    ) -> int:
        """The last batch that earlier windows counted for a price; 0 where none ever did."""
        if known is None or stretch.key not in before:
            return 0
        return known.day_batch if stretch.plan.window == "day" else known.batch

    def _parts(
        self, customer: _Customer, answers: Sequence[tuple[Question, Brought]]
    ) -> list[tuple[Stretch, StretchWindow]]:
        return [
            (
                question.stretch,
                bill_window(
                    customer.terms,
                    self.billing.calendar,
                    question.stretch,
                    self.end,
                    customer.before.get(question.stretch.key, {}),
                    answer,
                    anew=question.stretch.key in customer.anew,
                ),
            )
            for question, answer in answers
        ]

    def _document(
        self, customer: _Customer, parts: Sequence[tuple[Stretch, StretchWindow]], used: Mapping[str, int], credit: int
    ) -> Document | None:
        """The window's document; None where nothing is to be invoiced."""
        terms, calendar = customer.terms, self.billing.calendar
        lines = [line for _, part in parts for line in part.lines]
        if not any(line.amount.minor for line in lines):
            return None
        issued = calendar.local_day(self.end)
        plan = window_plan(terms.customer.id, terms.customer.currency, self.end, self.period, issued)
        return window_document(plan, lines, terms, calendar, self.period, self.billing.taxes, used=used, credit=credit)

    def _write(self, billed: Sequence[_Billed]) -> Counter[str]:
        """Documents, their numbers and payments, and the windows with what they leave their phases at."""
        at, actor = self.billing.now(self.connection), self.billing.actor
        issued = [(one, one.document) for one in billed if one.document is not None]
        queued = self._issue(issued, at) if issued else 0
        new = [
            NewWindow(
                one.customer.code,
                self.end,
                self.as_of.batch,
                one.change,
                one.document.id if one.document else None,
                [kept for stretch, part in one.parts for kept in _kept(stretch, part)],
            )
            for one in billed
        ]
        if new:
            windows.record(self.connection, new, at, actor)
        # Who gets credit, or has used some, has drafts that counted on another amount of it.
        credited = [
            one.customer.code for one, document in issued if document.customer_credit or document.total.minor < 0
        ]
        visits = revisits.to_visit(self.connection, credited, self.billing.calendar, at)
        revisits.ask_again(self.connection, visits)
        return Counter(windows=len(new), issued=len(issued), queued=queued)

    def _issue(self, issued: Sequence[tuple[_Billed, Document]], at: datetime) -> int:
        facts, reason = self.billing.facts, {"window": self.end.isoformat()}
        new_states = [
            NewState(
                document,
                one.customer.code,
                facts.bucket_of(one.customer.code),
                1,
                self.as_of.batch,
                one.change,
                reason,
            )
            for one, document in issued
        ]  # fmt: skip
        states.add_versions(self.connection, new_states, at, code_version())
        dues = [
            PaymentDue.of(document.id, document.amount_due, one.customer.terms.customer) for one, document in issued
        ]
        queued = payments.queue(self.connection, dues, at, self.billing.actor)
        after = min(question.after for one, _ in issued for question in one.customer.questions)
        inputs = finalization.keep_inputs(
            self.connection,
            self.as_of.batch,
            manifest.files_between(self.connection, after, self.as_of.batch, self.buckets),
        )
        finalization.finalize(
            self.connection,
            [
                Finalization(
                    document.id,
                    1,
                    issued=True,
                    cutoff=self.end,
                    inputs=inputs,
                    batch=self.as_of.batch,
                    change=one.change,
                    terms=one.customer.terms.fingerprint,
                )
                for one, document in issued
            ],
            at=at,
            year=self.billing.calendar.local_day(at).year,
            number_format=issued[0][0].customer.terms.account.number_format,
            code_version=code_version(),
            actor=self.billing.actor,
        )  # fmt: skip
        return queued


def _kept(stretch: Stretch, part: StretchWindow) -> Iterator[Kept]:
    for combination, state in part.states.items():
        reached = state.reached
        yield Kept(
            stretch.key, combination, stretch.end, reached.quantity, reached.due, state.invoiced.minor, reached.memory
        )
