"""Which column of a format means what, where the source does not say."""

from billing_pipeline.catalog.source import EventMapping

IDENTITY = "source+id"  # of a CloudEvent: its source and its id together
# What tells two rows of one account and hour apart. Names and tags change without the usage changing, so that a
# restatement would look like more usage: they identify nothing.
IDENTIFYING = (
    "AvailabilityZone",
    "ChargeCategory",
    "ChargeDescription",
    "CommitmentDiscountId",
    "CommitmentDiscountStatus",
    "ConsumedUnit",
    "PricingCategory",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "ResourceId",
    "ServiceCategory",
    "ServiceName",
    "SkuId",
    "SkuPriceId",
)

# Our own names; a file that uses them needs no mapping.
PLAIN = EventMapping("customer", "meter", "timestamp", "value", {}, "event_id", "revision", "retract")
FOCUS = EventMapping(
    "SubAccountId", "ConsumedUnit", "ChargePeriodStart", "ConsumedQuantity", {name: name for name in IDENTIFYING}
)
CLOUDEVENTS = EventMapping("subject", "type", "time", "data.value", {}, IDENTITY, None, "data.retract")
