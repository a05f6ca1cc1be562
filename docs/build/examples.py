"""Worked examples of what goes with every price model; docs/prices.md prints them and the tests rate them."""

from billing_pipeline.rating.price_models import Example

_TIERS = [{"up_to": "100", "unit_amount": "0.10"}, {"unit_amount": "0.08"}]
_USED = [
    {"value": "80", "dimensions": {"region": "eu"}},
    {"value": "60", "dimensions": {"region": "us"}},
]

GENERAL: tuple[tuple[str, str, Example], ...] = (
    (
        "By dimension",
        (
            "`by` names dimensions of the usage, `rates` the amounts for their values. The most specific match "
            "wins, else `default`; usage that nothing matches is an error, never a silent zero. Two rates that "
            "could tie are refused. Values that fall to `default` share it."
        ),
        Example(
            case={
                "price": {
                    "model": "per_unit",
                    "by": ["provider", "region"],
                    "rates": [
                        {"match": {"provider": "aws"}, "unit_amount": "0.10"},
                        {"match": {"provider": "aws", "region": "eu"}, "unit_amount": "0.12"},
                    ],
                    "default": {"unit_amount": "0.20"},
                },
                "events": [
                    {"value": "10", "dimensions": {"provider": "aws", "region": "eu"}},
                    {"value": "10", "dimensions": {"provider": "aws", "region": "us"}},
                    {"value": "10", "dimensions": {"provider": "gcp", "region": "eu"}},
                ],
            },
            amount="4.20",
            because="usage of aws in eu has a rate of its own, of aws elsewhere the wider one, all other the default",
        ),
    ),
    (
        "Tiers per dimension",
        (
            "By default (`tiers_per: dimension`) tiers and included units count per combination of values. Where "
            "all share one table, it may stand beside `by` once."
        ),
        Example(
            case={"price": {"model": "graduated", "by": ["region"], "tiers": _TIERS}, "events": _USED},
            amount="14.00",
            because="80 and 60 both stay in the first tier of their region",
        ),
    ),
    (
        "Tiers per subscription",
        (
            "With `tiers_per: subscription` tiers and included units count over all values together. All rates "
            "must then have the same amounts."
        ),
        Example(
            case={
                "price": {"model": "graduated", "by": ["region"], "tiers_per": "subscription", "tiers": _TIERS},
                "events": _USED,
            },
            amount="13.20",
            because="140 units in all: 100 × 0.10 and 40 × 0.08",
        ),
    ),
    (
        "Included units",
        (
            "`included` units are free; they come off before the model sees the quantity. `percentage` has "
            "`free_events` and `free_amount` instead."
        ),
        Example(
            case={"price": {"model": "per_unit", "unit_amount": "0.10", "included": "1000"}, "quantity": "1250"},
            amount="25.00",
            because="250 units remain after the 1,000 that are included",
        ),
    ),
    (
        "Minimum spend",
        (
            "`minimum` is reached by a true-up line, also without any usage. Beside a plan's `prices`, a `minimum` is "
            "of the plan: of all its usage and fees in arrears."
        ),
        Example(
            case={"price": {"model": "per_unit", "unit_amount": "0.10", "minimum": "10.00"}, "quantity": "30"},
            amount="10.00",
            because="30 × 0.10 is 3; 7 more reach the minimum",
        ),
    ),
    (
        "Maximum spend",
        "`maximum` is kept by a true-up line that is a credit; a plan may have one of its own, too.",
        Example(
            case={"price": {"model": "per_unit", "unit_amount": "0.10", "maximum": "500.00"}, "quantity": "6000"},
            amount="500.00",
            because="6,000 × 0.10 is 600; 100 are credited",
        ),
    ),
    (
        "Unit conversion",
        (
            "`convert` divides the metered quantity and rounds it to whole units `up`, `down`, to the `nearest`, "
            "or, with `none`, not at all. It comes first. A meter may have a conversion of its own."
        ),
        Example(
            case={
                "price": {
                    "model": "per_unit",
                    "unit_amount": "0.02",
                    "convert": {"divide_by": "1000000000", "round": "up"},
                },
                "quantity": "2500000001",
            },
            amount="0.06",
            because="2.500000001 GB are rounded up to 3",
        ),
    ),
    (
        "No usage",
        (
            "Without usage a tier's flat amount is not due. `zero_usage: first_tier_flat` makes the first tier's "
            "due, as Stripe, Lago and OpenMeter do."
        ),
        Example(
            case={
                "price": {
                    "model": "graduated",
                    "zero_usage": "first_tier_flat",
                    "tiers": [{"up_to": "10", "unit_amount": "1", "flat_amount": "5"}, {"unit_amount": "0.50"}],
                },
                "quantity": "0",
            },
            amount="5.00",
            because="the first tier's flat amount, although nothing was used",
        ),
    ),
    (
        "On demand",
        (
            "`cumulative` quantities of an on-demand phase give one invoice each: what is due so far less the "
            "rounded invoices before. `volume` prices only new units at the tier that the cumulative quantity has"
            " reached, and a reduction takes from the highest tier billed, at its rate. Of prices of single events"
            " each rise is an event, and a fall takes back of the last ones."
        ),
        Example(
            case={
                "price": {
                    "model": "graduated",
                    "tiers": [{"up_to": "100", "unit_amount": "1.00"}, {"unit_amount": "0.80"}],
                },
                "cumulative": ["80", "120"],
            },
            amount="116.00",
            because="80 × 1.00, then 20 × 1.00 and 20 × 0.80",
        ),
    ),
)
