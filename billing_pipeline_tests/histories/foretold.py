"""A life whose every change is foretold: its dry run says which documents differ, and how, and is held to it.

The ledger is led into two futures, one without the change and one with it; in each the product runs once, at the same
instant. What differs between them is what the dry run must list, and nothing else: whether drafts are fresh, or no run
came for weeks, whether documents are held, or cut off and not final.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from billing_pipeline.operations.changes.customer_change import CustomerVerb, change_customer
from billing_pipeline.operations.changes.preview import DocumentChange
from billing_pipeline.operations.tick import tick
from billing_pipeline_tests.histories.lifetime import Lifetime
from billing_pipeline_tests.sandbox import Sandbox

_Name = tuple[str, str, str, str]  # customer, kind, period, issue date
Totals = Mapping[_Name, str]


@dataclass
class Foretold(Lifetime):
    """As :class:`Lifetime`. ``told``: how many changes were; ``wrong``: what became of documents that was not said."""

    told: int = 0
    wrong: list[str] = field(default_factory=list)

    def _change(self, verb: CustomerVerb) -> None:
        said = change_customer(self.sandbox.billing, verb, dry_run=True).documents or ()
        with self.sandbox.fork() as unchanged:
            before = after_a_run(unchanged)
        with self.sandbox.fork() as changed:
            done = change_customer(changed.billing, verb).documents or ()
            after = after_a_run(changed)
        wrong = untold(before, after, said)
        if [one.to_json() for one in said] != [one.to_json() for one in done]:
            wrong.append("The change says other documents than its dry run.")
        self.wrong += [f"{self.now:%Y-%m-%d %H:%M} {verb}: {one}" for one in wrong]
        self.told += 1
        super()._change(verb)


def after_a_run(sandbox: Sandbox) -> Totals:
    """What all documents ask for once the product has run."""
    report = tick(sandbox.billing)
    assert not report.problems, report.to_json()
    rows = sandbox.query("SELECT customer_id, kind, period, issue_date, reissue, total_minor FROM current_document")
    return {
        (row.customer_id, row.kind, row.period.isoformat(), row.issue_date.isoformat()): f"{row.total_minor.scaleb(-2)}"
        for row in rows
    }


def untold(before: Totals, after: Totals, said: tuple[DocumentChange, ...]) -> list[str]:
    """Where what became of documents is not what was said."""
    listed = {}
    for one in said:
        name = one.plan.identity
        key = (name.customer, str(name.kind), name.period.isoformat(), name.issue_date.isoformat())
        listed[key] = (str(one.old_total), str(one.new_total))
    wrong = []
    for key in sorted({*before, *after, *listed}):
        made = before.get(key, "0.00"), after.get(key, "0.00")
        told = listed.get(key, (made[0], made[0]))
        if told != made:
            wrong.append(f"{' '.join(key)}: {' → '.join(told)} said, {' → '.join(made)} made")
    return wrong
