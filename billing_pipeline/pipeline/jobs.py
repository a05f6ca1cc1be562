"""What people and sensors launch. In one process: a step is fast, and works on buckets in parallel itself."""

import dagster as dg

from billing_pipeline.operations.closing import lake_files
from billing_pipeline.operations.landing.landing_folder import land_waiting
from billing_pipeline.operations.landing.sweep import sweep
from billing_pipeline.pipeline.invoicing import invoices
from billing_pipeline.pipeline.on_demand import on_demand_invoices
from billing_pipeline.pipeline.payments import deliver_queued, payments
from billing_pipeline.pipeline.resources import BillingResource

close_period = dg.define_asset_job(
    "close_period",
    selection=dg.AssetSelection.assets(invoices).upstream(),
    executor_def=dg.in_process_executor,
    description="Raw usage to invoices, for whoever is dirty in the period, then its checks. Repeating it changes "
    "nothing.",
)
lock_period = dg.define_asset_job(
    "lock_period",
    selection=dg.AssetSelection.assets(payments),
    executor_def=dg.in_process_executor,
    description="Finalize and queue the documents whose cutoff has come; nothing before its time.",
)

invoice_windows = dg.define_asset_job(
    "invoice_windows",
    selection=dg.AssetSelection.assets(on_demand_invoices),
    executor_def=dg.in_process_executor,
    description="Invoice the windows on demand that are over, in order for each customer. Repeating it changes "
    "nothing.",
)


@dg.op(out=dg.Out(dg.Nothing))
def land_files(context: dg.OpExecutionContext, billing: BillingResource) -> None:
    """Accept the files that wait in the landing folder, each as a batch."""
    landed = land_waiting(billing.open())
    context.add_output_metadata({"landed": dg.MetadataValue.json(landed.to_json() if landed else {})})


@dg.job(executor_def=dg.in_process_executor, description="Land the files that wait in the landing folder.")
def land_usage() -> None:
    """One op: a file may touch several periods."""
    land_files()


@dg.op(out=dg.Out(dg.Nothing))
def look_after_files(context: dg.OpExecutionContext, billing: BillingResource) -> None:
    """Release who was held for a lake file that is restored; remove what crashes left behind."""
    ledger = billing.open()
    released = {period.key: lake_files.examine(ledger, period) for period in lake_files.held_periods(ledger)}
    context.add_output_metadata({"released": dg.MetadataValue.json(released), "removed": sweep(ledger)})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Release who was held for a lake file that is restored, and remove what crashes left behind.",
)
def upkeep() -> None:
    """One op: it belongs to no period."""
    look_after_files()


@dg.job(executor_def=dg.in_process_executor, description="Hand queued payments to their gateways, and retry refusals.")
def deliver_payments() -> None:
    """One op: delivery belongs to no period."""
    deliver_queued()


JOBS = (land_usage, close_period, lock_period, invoice_windows, deliver_payments, upkeep)
