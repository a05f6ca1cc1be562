"""What Dagster loads: the composition root, and nothing else. Needs no database and no environment."""

import dagster as dg

from billing_pipeline.pipeline import invoicing, metering, on_demand, payments, rating, usage
from billing_pipeline.pipeline.changes import CHANGES
from billing_pipeline.pipeline.checks import usage_checks
from billing_pipeline.pipeline.corrections import CORRECTIONS
from billing_pipeline.pipeline.jobs import JOBS
from billing_pipeline.pipeline.resources import BillingResource
from billing_pipeline.pipeline.schedules import SCHEDULES
from billing_pipeline.pipeline.sensors import SENSORS

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([usage, metering, rating, invoicing, on_demand, payments]),
    asset_checks=[usage_checks],
    jobs=[*JOBS, *CHANGES, *CORRECTIONS],
    sensors=SENSORS,
    schedules=SCHEDULES,
    resources={"billing": BillingResource()},
    executor=dg.in_process_executor,
)
