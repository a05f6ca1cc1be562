"""Payments: the lock, which finalizes what is due and queues it; and the delivery, which belongs to no period."""

import dagster as dg

from billing_pipeline.operations.locking.check_and_lock import lock_checked
from billing_pipeline.operations.payments.deliver import deliver
from billing_pipeline.operations.reading.period_summary import invoice_summary, payment_summary
from billing_pipeline.pipeline import obstacles
from billing_pipeline.pipeline.invoicing import invoices
from billing_pipeline.pipeline.metadata import Metadata, described, money, table
from billing_pipeline.pipeline.partitions import stage_asset
from billing_pipeline.pipeline.progress import logged
from billing_pipeline.pipeline.resources import BillingResource


@stage_asset("payments", {"postgres"}, deps=[invoices], check_specs=[obstacles.spec("payments")])
def payments(context: dg.AssetExecutionContext, billing: BillingResource) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Finalized documents, one row each: computed as of their cutoff, numbered and queued in one transaction.

    Does nothing before ``lock_at``, whoever materialises it.
    """
    ledger, period = billing.at(context.partition_key, context.log)
    report = lock_checked(ledger, period)
    summary, queued = invoice_summary(ledger, period), payment_summary(ledger, period)
    waiting, nothing_waits = obstacles.shown(billing, context.partition_key)
    shown: Metadata = {
        "final invoices": summary.final,
        "total, drafts included": money(summary.totals),
        "invoices by status": table(summary.by_status),
        "payments by status": table(queued),
        **waiting,
        "payment requests, gateway 'file'": dg.MetadataValue.path(ledger.settings.outbox),
    }
    metadata = {**shown, **described(report, summary.final, summary.totals)}
    return dg.MaterializeResult(metadata=metadata, check_results=[nothing_waits])


@dg.op(out=dg.Out(dg.Nothing))
def deliver_queued(context: dg.OpExecutionContext, billing: BillingResource) -> None:
    """Hand what is queued to the gateways, and retry what is due for it."""
    ledger = billing.open()
    ledger.watch = logged(context.log)
    summary = deliver(ledger)
    context.add_output_metadata(
        {
            "submitted": summary.submitted,
            "paid": summary.paid,
            "refused, to be tried again": summary.refused,
            "failed": summary.failed,
            "awaiting payment method": summary.awaiting_payment_method,
            "problems": table(
                [{"gateway": problem.gateway, "problem": problem.message} for problem in summary.problems]
            ),
        }
    )
