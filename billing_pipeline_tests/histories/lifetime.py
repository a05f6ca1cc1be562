"""Plays a whole life on a real ledger and notes the same facts plainly; says what is wrong with what came of it."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum, auto
from itertools import combinations

import pytest

from billing_pipeline.catalog.problems import CatalogProblems
from billing_pipeline.core.errors import BillingError, Refused
from billing_pipeline.operations.changes.add_discount import AddDiscount
from billing_pipeline.operations.changes.assign_plan import AssignPlan
from billing_pipeline.operations.changes.cancel_subscription import CancelSubscription
from billing_pipeline.operations.changes.change_subscription import ChangeSubscription
from billing_pipeline.operations.changes.customer_change import CustomerVerb, change_customer
from billing_pipeline.operations.changes.end_discount import EndDiscount
from billing_pipeline.operations.closing.close import close
from billing_pipeline.operations.context import Billing
from billing_pipeline.operations.corrections.credit_note import credit
from billing_pipeline.operations.corrections.void import void
from billing_pipeline.operations.locking import holds as hold
from billing_pipeline.operations.locking.lock import lock
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.histories.oracle import Event
from billing_pipeline_tests.histories.play import row_of
from billing_pipeline_tests.histories.script import Step
from billing_pipeline_tests.histories.sold import PLANS, Discount, Rules, Subscription
from billing_pipeline_tests.histories.whole import MONTHS, Home, Life, Statement, fees_of
from billing_pipeline_tests.histories.world import CUSTOMERS, METERS
from billing_pipeline_tests.sandbox import Sandbox, note_checked

# What is written of documents and of what came too late; how far periods are computed is not.
_TABLES = [
    *("document", "document_version", "document_line", "draft_document", "draft_line", "finalization", "payment"),
    *("not_billable", "late_usage", "hold"),
]
_DISCOUNT = re.compile(r"Discount (\S+) \(")
_BUSY = (1, 6, 8)  # days of the month on which most documents are due
Rows = list[tuple[object, ...]]


class Runs(StrEnum):
    """When the product runs: as soon as there is something to do, some time later, or once, after an outage."""

    PUNCTUAL = auto()
    LATE = auto()
    ONCE = auto()


_Hold = tuple[str, date, datetime, datetime | None]  # customer, period, since, until


@dataclass
class Lifetime:
    """One life on one ledger. ``runs``: when the product does."""

    sandbox: Sandbox
    rules: Rules
    runs: Runs = Runs.LATE
    now: datetime = MONTHS[0]
    life: Life = field(init=False)
    final: set[tuple[object, ...]] = field(default_factory=set)
    _held: list[_Hold] = field(default_factory=list)
    _doubtful: list[_Hold] = field(default_factory=list)  # by a check, since a delivery

    def __post_init__(self) -> None:
        self.life = Life(self.rules)

    def run(self, script: Sequence[Step]) -> "Lifetime":
        """All steps; what is final stays as it is."""
        for step in script:
            self._wait_until(self.now + timedelta(hours=step.hours))
            getattr(self, f"_{step.action}")(step.given)
            if self.runs is Runs.PUNCTUAL and step.action != "tick":
                self.tick()
        return self

    def finish(self) -> "Lifetime":
        """Nothing is held any more, two and a half months go by, and everything is locked."""
        if self._doubtful:
            self.tick()  # else nobody would know of a check's holds
            self._doubtful = [(*hold[:3], self.now) for hold in self._doubtful]
        self._held = [(*hold[:3], hold[3] or self.now) for hold in self._held]
        if holds := hold.list_holds(self.sandbox.billing):
            hold.release(self.sandbox.billing, [one.id for one in holds], "it is fine")
        for days in (45, 30):
            self._wait_until(self.now + timedelta(days=days))
            if self.runs is not Runs.ONCE:
                self.tick()
        self.tick()
        return self

    def _wait_until(self, then: datetime) -> None:
        if self.runs is Runs.PUNCTUAL:
            first = self.now.replace(hour=0)
            days = [first + timedelta(days=n + 1) for n in range((then - first).days)]
            for day in days:
                if day.day in _BUSY and day > self.now:
                    self._move_to(day)
                    self.tick()
        self._move_to(then)

    def _move_to(self, instant: datetime) -> None:
        if instant != self.now:
            self.now = instant
            self.sandbox.at(instant)

    def tick(self) -> None:
        """What the schedules and sensors would do now; what was final is as it was, and nobody is owed less than 0."""
        report = tick(self.sandbox.billing)
        assert not report.problems, report.to_json()
        if not report.steps:
            return
        final = set(self._final())
        assert self.final <= final, "a final document has changed"
        self.final = final
        assert [customer for customer, credit in self._customer_credit().items() if credit < 0] == []

    # Steps

    def _tick(self, _: None) -> None:
        if self.runs is not Runs.ONCE:
            self.tick()

    def _wait(self, _: None) -> None:
        pass

    def _land(self, events: list[Event]) -> None:
        past = [one for one in events if one.timestamp <= self.now]
        if past:
            self.sandbox.land(*map(row_of, past))
            self.life.usage.batches.append((self.now, past))
            months = {one.timestamp.date().replace(day=1) for one in past}
            known = {hold[:2] for hold in self._doubtful}
            self._doubtful += [
                (customer, month, instants[0], None)
                for month in sorted(months)
                for customer, instants in self.suspects(month).items()
                if (customer, month) not in known
            ]

    def suspects(self, period: date) -> dict[str, list[datetime]]:
        """By customer, when deliveries came that name an event of a period twice, or take away what was added."""
        found: dict[str, list[datetime]] = defaultdict(list)
        before: dict[tuple[object, ...], Event] = {}
        for at, events in self.life.usage.batches:
            own: dict[tuple[object, ...], Event] = {}
            for one in events:
                aggregation, keep = METERS[one.meter]
                if aggregation not in {"sum", "count"} or one.timestamp.date().replace(day=1) != period:
                    continue
                key = (one.customer, one.meter, one.timestamp, one.region)
                twice = key in own and own[key] != one
                negated = keep == "latest" and key in before and Decimal(before[key].value) > 0 > Decimal(one.value)
                if (twice or negated) and at not in found[one.customer]:
                    found[one.customer].append(at)
                own[key] = before[key] = one
        return {customer: instants for customer, instants in found.items() if instants}

    def _subscribe(self, given: tuple[str, str, str]) -> None:
        customer, plan, when = given
        start = self._instant(when)
        new = Subscription(f"{customer}-{len(self.life.subscriptions)}", customer, start, self.now, [(start, plan)])
        if self._accepted(start, lambda: self.sandbox.apply(new.yaml)):
            new.note(self.now)
            self.life.subscriptions[new.id] = new

    def _assign(self, given: tuple[int, str, str]) -> None:
        one = self._subscription(given[0])
        if one is None:
            return
        extend = given[2].endswith(", extended")
        plan, start = given[1], self._instant(given[2].removesuffix(", extended"))
        start = start if extend else max(start, one.start)
        if one.end is not None and one.end <= start:
            return

        def change() -> None:
            verb = AssignPlan(one.customer, plan, subscription=one.id, start=start.isoformat(), extend=extend)
            self._change(verb)

        if self._accepted(start, change):
            kept = [phase for phase in one.phases if phase[0] < start]
            if (start, plan) not in one.phases:
                one.noted.pop(start, None)
            one.phases = kept if kept and kept[-1][1] == plan else [*kept, (start, plan)]
            one.start = min(one.start, start)
            one.note(self.now)

    def _seats(self, given: tuple[int, int, str]) -> None:
        one = self._subscription(given[0])
        if one is None or not (fees := sorted({fee.id for _, plan in one.phases for fee in PLANS[plan].fees})):
            return
        number, start = given[1], max(self._instant(given[2]), one.start)
        if one.end is not None and one.end <= start:
            return
        fee = fees[number % len(fees)]

        def change() -> None:
            self._change(ChangeSubscription(one.id, {fee: str(number)}, start=start.isoformat()))

        if self._accepted(start, change):
            kept = [each for each in one.quantities if each[:2] != (start, fee)]
            before = max(((at, n) for at, name, n in kept if name == fee and at < start), default=(start, 1))[1]
            one.quantities = [*kept, (start, fee, number)] if number != before else kept  # what is so needs no change
            one.note(self.now)

    def _cancel(self, given: tuple[int, str]) -> None:
        one = self._subscription(given[0])
        if one is None or (end := self._instant(given[1])) < one.start:
            return
        since = min(end, one.end or end)
        if self._accepted(since, lambda: self._change(CancelSubscription(one.id, end=end.isoformat()))):
            if one.end is not None and one.end <= min(end, self.now):
                return
            one.end = end
            one.phases = [phase for phase in one.phases if phase[0] < end] or one.phases[:1]
            one.quantities = [each for each in one.quantities if each[0] < end]
            one.note(self.now)

    def _postpone(self, given: tuple[int, str]) -> None:
        """Its start is moved to a later instant, by applying it anew: as it is written, with a plan and no more."""
        one = self._subscription(given[0])
        start = self._instant(given[1])
        if one is None or one.end or one.quantities or len(one.phases) > 1 or start <= one.start:
            return
        moved = replace(one, start=start, phases=[(start, one.phases[0][1])])
        if self._accepted(one.start, lambda: self.sandbox.apply(moved.yaml)):
            one.start, one.phases = moved.start, moved.phases
            one.note(self.now)

    def _reopen(self, number: int) -> None:
        """What has an end has none any more."""
        one = self._subscription(number)
        if one is None or one.end is None:
            return
        since, one.end = one.end, None
        if self._accepted(since, lambda: self.sandbox.apply(one.yaml)):
            one.note(self.now)
        else:
            one.end = since

    def _discount(self, given: tuple[str, str, str | None, str | None, int | None, tuple[str, ...]]) -> None:
        customer, when, percent, amount, periods, prices = given
        start, name = self._instant(when), f"off{len(self.life.discounts)}"
        verb = AddDiscount(customer, name, percent, amount, start.isoformat(), None, periods, [*prices])
        month = max(place for place, one in enumerate(MONTHS) if one <= start)
        last = None if periods is None else MONTHS[month + periods]
        if self._accepted(start, lambda: self._change(verb)):
            made = Discount(name, customer, start, percent, amount, prices, [(self.now, None)], last)
            self.life.discounts.append(made)

    def _end_discount(self, given: tuple[int, str]) -> None:
        if not self.life.discounts:
            return
        one = self.life.discounts[given[0] % len(self.life.discounts)]
        known = one.known(None)
        assert known is not None
        end, over = self._instant(given[1]), known[1]
        if end < one.start or (over is not None and over <= min(end, self.now)):
            return
        since = min(end, over or end)
        if self._accepted(since, lambda: self._change(EndDiscount(one.id, end=end.isoformat()))):
            one.ends.append((self.now, end))

    def _hold(self, given: tuple[str, int]) -> None:
        customer, months = given
        period = MONTHS[max(0, self._month() - months)]
        if hold.place(self.sandbox.billing, [customer], period.date().isoformat(), "for a reason"):
            self._held.append((customer, period.date(), self.now, None))

    def _release(self, number: int) -> None:
        """What a check holds, people look at in the end: not each way of running finds it by now."""
        if holds := [one for one in hold.list_holds(self.sandbox.billing) if one.cause == hold.MANUAL]:
            released = holds[number % len(holds)]
            hold.release(self.sandbox.billing, [released.id], "it is fine")
            whose = released.customer, released.period
            self._held = [(*one[:3], self.now) if one[:2] == whose and one[3] is None else one for one in self._held]

    def _void(self, given: tuple[int, bool]) -> None:
        number, reissue = given
        self._by_hand(
            number, lambda invoice: void(self.sandbox.billing, invoice, reason="for a reason", reissue=reissue)
        )

    def _credit(self, given: tuple[int, str | None, bool]) -> None:
        number, amount, correction = given
        major = None if amount is None else Decimal(amount)
        self._by_hand(
            number,
            lambda invoice: credit(self.sandbox.billing, invoice, major, reason="for a reason", correction=correction),
        )

    def _by_hand(self, number: int, act: Callable[[str], object]) -> None:
        """What a person does with one of the invoices, who first lets the product do what is due.

        Of customers whom somebody holds, nobody knows by now what a late run would find to be final.
        """
        self.tick()
        held = {customer for customer, _, _, until in [*self._held, *self._doubtful] if until is None}
        found = [
            row.number
            for row in self.sandbox.query("""
                SELECT d.number, c.id AS customer FROM final_document AS d JOIN customer AS c ON c.code = d.customer
                WHERE d.number IS NOT NULL AND d.kind <> 'credit_note'
                  AND NOT EXISTS (SELECT FROM document_void AS v WHERE v.document = d.id)
                  AND NOT EXISTS (SELECT FROM credit_note AS n WHERE n.credits = d.id)
                ORDER BY c.id, d.period, d.issue_date, d.kind, d.reissue
            """)
            if row.customer not in held
        ]
        if found:
            refusal = ""
            try:
                act(found[number % len(found)])
            except Refused as error:
                refusal = str(error)
            # A document's credit may be used, and nothing may be left of it.
            assert not refusal or any(why in refusal for why in ("later invoices used", "cannot be credited")), refusal

    def _change(self, verb: CustomerVerb) -> None:
        change_customer(self.sandbox.billing, verb)

    def _accepted(self, since: datetime, change: Callable[[], object]) -> bool:
        """Whether the ledger took it. From the running period's start on it takes nearly everything."""
        refusal: BillingError | None = None
        try:
            change()
        except (Refused, CatalogProblems) as error:
            refusal = error
        # One meter cannot be billed twice, and no discount ends after its periods.
        fair = refusal is None or any(why in str(refusal) for why in ("already has", "periods are over"))
        assert fair or since < MONTHS[self._month()], str(refusal)
        return refusal is None

    def _subscription(self, number: int) -> Subscription | None:
        known = list(self.life.subscriptions.values())
        return known[number % len(known)] if known else None

    def _month(self) -> int:
        return max(place for place, one in enumerate(MONTHS) if one <= self.now)

    def _instant(self, when: str) -> datetime:
        month = self._month()
        return {
            "now": self.now,
            "current-period": MONTHS[month],
            "previous-period": MONTHS[max(month - 1, 0)],
            "soon": self.now + timedelta(hours=36),
            "next": MONTHS[month + 1],
            "tenth": MONTHS[month] + timedelta(days=9, hours=12),
        }[when]

    # What came of it

    def differences(self) -> list[str]:
        """Where the sum of all documents is not what rating everything at once gives.

        What a note corrects is given back, until something else of its document is compared: then all of it is due.
        """
        before = MONTHS[self._month() - 1].date()
        cutoffs, all_billed, corrected = self.cutoffs(), self.billed(), self.corrected()
        found = []
        for customer in CUSTOMERS:
            due = self.life.billed(customer, before, cutoffs, self.now)
            billed = {
                one: minor
                for one, minor in all_billed.items()
                if one[0].customer == customer and one[0].settled(before)
            }
            given_back = [
                {one: minor for one, minor in lines.items() if one[0].settled(before)}
                for whose, lines in corrected
                if whose == customer
            ]
            choices: list[list[str]] = [
                _differing(billed, _sum([due, *standing]))
                for number in range(len(given_back) + 1)
                for standing in combinations(given_back, number)
            ]
            fewest = min(choices, key=len)
            found += fewest
        return found + self._locked_though_held()

    def _locked_though_held(self) -> list[str]:
        rows = self.sandbox.query("""
            SELECT c.id, d.kind, d.period, f.cutoff FROM finalization AS f JOIN document AS d ON d.id = f.document
            JOIN customer AS c ON c.code = d.customer WHERE d.kind <> 'credit_note' AND d.reissue = 0
        """)
        return [
            f"{row.id} {row.kind} {row.period}: cut off {row.cutoff}, held {since} to {until}"
            for row in rows
            for customer, period, since, until in [*self._held, *self._doubtful]
            if (row.id, row.period) == (customer, period) and since < row.cutoff and (not until or row.cutoff < until)
        ]

    def billed(self) -> dict[Statement, int]:
        """The sum of all final documents' lines, adjustments with the lines that they adjust; without zeros.

        A document that was issued again does not count; one that is void alone does, and what is given as a present.
        """
        return _sum([lines for _, lines in self._lines("r.replaced_by IS NULL AND coalesce(n.correction, true)")])

    def corrected(self) -> list[tuple[str, dict[Statement, int]]]:
        """By correcting note: the customer, and its lines."""
        return self._lines("n.correction")

    def _lines(self, which: str) -> list[tuple[str, dict[Statement, int]]]:
        """By final document: the customer, and its lines, adjustments as the lines that they adjust."""
        rows = self.sandbox.query(f"""
            SELECT d.id, c.id AS customer, h.kind, h.period, h.issue_date, coalesce(l.adjusts, l.kind) AS line_kind,
                   l.subscription, l.price, l.dimensions ->> 'region' AS region, l.description, l.amount_minor
            FROM finalization AS f JOIN document AS d ON d.id = f.document
            LEFT JOIN document_void AS r ON r.document = d.id LEFT JOIN credit_note AS n ON n.document = d.id
            JOIN document_line AS l ON l.document = f.document AND l.version = f.version
            JOIN document AS h ON h.id = coalesce(l.adjusts_document, d.id)
            JOIN customer AS c ON c.code = d.customer WHERE l.kind NOT IN ('tax', 'credit') AND {which}
        """)
        documents: dict[object, tuple[str, dict[Statement, int]]] = {}
        for row in rows:
            home = Home(row.customer, row.period, row.issue_date, row.kind)
            what: tuple[str | None, ...] = (row.subscription, row.price, row.region)
            if row.line_kind == "discount":
                named = _DISCOUNT.search(row.description)
                assert named, row.description
                what = (None, named[1], None)
            if row.line_kind == "fee":
                home = fees_of(row.customer)
            _, sums = documents.setdefault(row.id, (row.customer, defaultdict(int)))
            sums[home, row.line_kind, what[0], what[1], what[2]] += int(row.amount_minor)
        return list(documents.values())

    def cutoffs(self) -> Mapping[Home, datetime]:
        """Of all final documents; of one that was issued again the last."""
        rows = self.sandbox.query("""
            SELECT c.id AS customer, d.kind, d.period, d.issue_date, f.cutoff FROM finalization AS f
            JOIN document AS d ON d.id = f.document JOIN customer AS c ON c.code = d.customer
            ORDER BY d.reissue
        """)
        return {Home(row.customer, row.period, row.issue_date, row.kind): row.cutoff for row in rows}

    def statements(self) -> Rows:
        """What the final documents that something calls for say, and as of when: nothing of the runs that made them."""
        return [
            tuple(row)
            for row in self.sandbox.query("""
                SELECT c.id, d.kind, d.period, d.issue_date, d.reissue, f.cutoff, v.lock_at,
                       v.total_minor, v.amount_due_minor,
                       l.kind, l.description, l.subscription, l.plan, l.price, l.service_start, l.service_end,
                       l.dimensions::text, l.quantity, l.amount_minor, l.adjusts, l.adjusts_document, v.content
                FROM finalization AS f JOIN document AS d ON d.id = f.document JOIN customer AS c ON c.code = d.customer
                JOIN document_version AS v ON v.document = f.document AND v.version = f.version
                LEFT JOIN document_line AS l ON l.document = f.document AND l.version = f.version
                WHERE l.line IS NOT NULL OR v.covers <> '[]'
                ORDER BY c.id, d.period, d.issue_date, d.kind, d.reissue, l.line
            """)
        ]

    def dump(self) -> dict[str, Rows]:
        """All rows of everything that documents are made of."""
        return {
            name: sorted((tuple(row) for row in self.sandbox.query(f'SELECT * FROM "{name}"')), key=str)
            for name in _TABLES
        }

    def again(self) -> None:
        """Tick, close and lock once more, which is once too much."""
        self.tick()
        for period in self.sandbox.billing.periods():
            close(self.sandbox.billing, period)
            note_checked(self.sandbox.billing)
            lock(self.sandbox.billing, period)

    def numbers(self) -> list[str]:
        """Those given, in their order."""
        return [
            row.number
            for row in self.sandbox.query("SELECT number FROM finalization WHERE number IS NOT NULL ORDER BY number")
        ]

    def _final(self) -> list[tuple[object, ...]]:
        tables = ("finalization", "document_version", "document_line")
        found: list[tuple[object, ...]] = []
        for name in tables:
            rows = self.sandbox.query(f"""
                SELECT t.* FROM "{name}" AS t JOIN finalization AS g
                ON g.document = t.document AND g.version = t.version
            """)
            found += [(name, str(tuple(row))) for row in rows]
        return found

    def _customer_credit(self) -> dict[str, int]:
        rows = self.sandbox.query("""
            SELECT d.customer, sum(greatest(-v.total_minor, 0) - v.customer_credit_applied_minor) AS credit
            FROM finalization AS f JOIN document AS d ON d.id = f.document
            JOIN document_version AS v ON v.document = f.document AND v.version = f.version
            WHERE NOT EXISTS (SELECT FROM document_void AS r WHERE r.document = d.id) GROUP BY d.customer
        """)
        return {str(row.customer): int(row.credit) for row in rows}


def _sum(parts: Iterable[Mapping[Statement, int]]) -> dict[Statement, int]:
    """Added up, without zeros."""
    sums: dict[Statement, int] = defaultdict(int)
    for part in parts:
        for one, minor in part.items():
            sums[one] += minor
    return {one: minor for one, minor in sums.items() if minor}


def _differing(billed: Mapping[Statement, int], due: Mapping[Statement, int]) -> list[str]:
    return [
        f"{home.customer} {home.kind} {home.issued} {rest}: {billed.get(one, 0)} billed, {due.get(one, 0)} due"
        for one in sorted(billed.keys() | due.keys(), key=str)
        if billed.get(one, 0) != due.get(one, 0)
        for home, *rest in [one]
    ]


def use_the_clock_of(monkeypatch: pytest.MonkeyPatch, life: Lifetime) -> None:
    """Ask the life what time it is, which alone moves the ledger's clock: a run asks hundreds of times."""
    monkeypatch.setattr(Billing, "now", lambda *_: life.now)
