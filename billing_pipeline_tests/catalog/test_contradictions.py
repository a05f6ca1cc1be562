"""Each contradiction that a catalog can hold: refused with its exact line, its object, its field and what to do."""

from collections.abc import Callable

import pytest

from billing_pipeline.catalog.problems import Problem

OnlyProblem = Callable[[str], Problem]

PLANS = [
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: comptue  # here
        price: {model: per_unit, unit_amount: "1"}
""",
        ("plan pro", "prices[0].meter", "There is no meter 'comptue'", "Did you mean 'compute'?"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        product: function  # here
        price: {model: per_unit, unit_amount: "1"}
""",
        ("plan pro", "prices[0].product", "There is no product 'function'", "Did you mean 'functions'?"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        price:
          model: graduated
          tiers:
            - {up_to: "100", unit_amount: "0.10"}
            - unit_amount: "0.09"
              up_to: "50"  # here
            - {unit_amount: "0.08"}
""",
        ("plan pro", "prices[0].price.tiers[1].up_to", "up_to 50 does not exceed 100", "ascending order"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        price:
          model: volume
          tiers:
            - {up_to: "100", unit_amount: "0.10"}
            - {unit_amount: "0.09"}  # here
            - {unit_amount: "0.08"}
""",
        ("plan pro", "prices[0].price.tiers[1]", "Only the last tier may be open", "Leave up_to out"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        price:
          model: per_unit
          by: [provider, zone]  # here
          rates:
            - {match: {zone: a}, unit_amount: "1"}
""",
        ("plan pro", "prices[0].price.by", "Meter 'compute' does not declare the dimension 'zone'", "provider, region"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        price:
          model: per_unit
          by: [provider, region]
          rates:  # here
            - {match: {provider: aws}, unit_amount: "1"}
            - {match: {region: eu}, unit_amount: "2"}
""",
        ("plan pro", "prices[0].price.rates", "tie", "Add a rate that matches provider=aws, region=eu"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - {id: compute, meter: compute, price: {model: per_unit, unit_amount: "1"}}
      - {id: compute, meter: requests, price: {model: per_unit, unit_amount: "1"}}  # here
""",
        ("plan pro", "prices[1].id", "another price 'compute'", "another id"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        price:
          model: per_unit
          unit_amount: "1"
          included: 1000  # here
""",
        ("plan pro", "prices[0].price.included", "included units stand beside the price", "one level up"),
    ),
    (
        """
plans:
  - id: pro
    prices:
      - id: compute
        meter: compute
        included: 1e18  # here
        price: {model: per_unit, unit_amount: "1"}
""",
        ("plan pro", "prices[0].included", "has more than 18 digits or 12 decimals", "Shorten it"),
    ),
    (
        """
meters:
  - {id: peak, aggregation: max}
plans:
  - id: pro
    prices:
      - {id: fee, meter: peak, price: {model: percentage, rate: "1"}}  # here
""",
        ("plan pro", "prices[0].meter", "'peak' (max) does not add up", "aggregation: sum"),
    ),
    (
        """
meters:
  - {id: peak, aggregation: sum, window: day}
plans:
  - id: pro
    prices:
      - {id: fee, meter: peak, price: {model: dynamic}}  # here
""",
        ("plan pro", "prices[0].meter", "'peak' (sum) does not add up", "sum or count, without a window"),
    ),
    (
        """
meters:
  - {id: cents, aggregation: sum, convert: {divide_by: 100, round: up}}
plans:
  - id: pro
    prices:
      - {id: fee, meter: cents, price: {model: percentage, rate: "1"}}  # here
""",
        ("plan pro", "prices[0].meter", "converted without rounding", "round: none"),
    ),
    (
        """
meters:
  - {id: cents, aggregation: sum}
plans:
  - id: pro
    prices:
      - {id: fee, meter: cents, convert: {divide_by: 100, round: down}, price: {model: percentage, rate: "1"}}  # here
""",
        ("plan pro", "prices[0].convert", "converted without rounding", "round: none"),
    ),
    (
        """
meters:
  - {id: cents, aggregation: sum, dimensions: [region]}
plans:
  - id: pro
    prices:
      - {id: fee, meter: cents, price: {model: percentage, by: [region], rate: "1", tiers_per: subscription}}  # here
""",
        ("plan pro", "prices[0].price.tiers_per", "told apart by their dimensions", "tiers_per: dimension"),
    ),
    (
        """
meters:
  - {id: cents, aggregation: sum, dimensions: [region]}
plans:
  - id: pro
    prices:
      - id: fee
        meter: cents
        price:
          model: dynamic
          by: [region]
          default: {amount_field: b}
          rates: [{match: {region: eu}, amount_field: a}]  # here
""",
        ("plan pro", "prices[0].price.rates", "find the amounts in one dimension", ""),
    ),
    (
        """
plans:
  - id: pro
    currency: EURO  # here
""",
        ("plan pro", "currency", "'EURO' is not an ISO 4217 currency code", "Did you mean 'EUR'?"),
    ),
    (
        """
plans:
  - id: pro
    grace: -3 days  # here
""",
        ("plan pro", "grace", "'-3 days' is negative", "Write 0"),
    ),
    (
        """
plans:
  - id: pro
    grace: 3  # here
""",
        ("plan pro", "grace", "'3' is no duration", "Write '3 days'"),
    ),
    (
        """
plans:
  - id: pro
    version: 3  # here
""",
        ("plan pro", "version", "given when the catalog is applied", "Remove it"),
    ),
]

OBJECTS = [
    (
        """
products:
  - id: storage
    invoicing_delay: 12 hours  # here
""",
        ("product storage", "invoicing_delay", "'12 hours' is not a number of whole days", "5 days"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: summ  # here
""",
        ("meter storage", "aggregation", "Unknown aggregation 'summ'", "Did you mean 'sum'?"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    dimensions: [provider]
    filter:
      region: [eu]  # here
""",
        ("meter storage", "filter.region", "does not declare the dimension 'region'", "Known: provider"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    dimensions: [provider]
    filter: {provider: []}  # here
""",
        ("meter storage", "filter.provider", "No value of 'provider' is let through", "List those"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    dimensions:
      - provider
      - region
      - provider  # here
""",
        ("meter storage", "dimensions[2]", "'provider' is named twice", "Keep one"),
    ),
    (
        """
meters:
  - {id: storage, aggregation: unique_count}  # here
""",
        ("meter storage", "unique_by", "unique_count needs unique_by", "Name a dimension"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    session_by: invocation  # here
""",
        ("meter storage", "session_by", "session_by belongs to duration", "aggregation: duration"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    max_session: 24 hours  # here
""",
        ("meter storage", "max_session", "max_session belongs to duration", "Remove it"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    per: hour  # here
""",
        ("meter storage", "per", "per belongs to weighted_sum", "Remove it"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: max
    deduplicate_by: none  # here
""",
        ("meter storage", "deduplicate_by", "a max needs to know which are of one event", "sum or count"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    deduplicate_by: event_id
    identity_grain: hour  # here
""",
        ("meter storage", "identity_grain", "they do not tell events apart", "Remove it"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: duration
    session_by: run
    identity_grain: day  # here
""",
        ("meter storage", "identity_grain", "would last no time", "Remove it"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    deduplicate_by: none
    keep: first  # here
""",
        ("meter storage", "keep", "there is no first report of it to keep", "Remove keep"),
    ),
    (
        """
meters: [{id: storage, aggregation: sum, deduplicate_by: none}]
sources:
  - id: increments
    format: csv
    event:
      {customer: customer, meter: {value: storage}, timestamp: at, value: value,
       retract: retracted}  # here
""",
        ("source increments", "event.retract", "there is none to take back", "a value below zero"),
    ),
    (
        """
sources:
  - id: report
    format: csv
    mode: snapshot
    scope: [month]
    repeats: latest  # here
""",
        ("source report", "repeats", "A snapshot states each event once", "Remove it"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: weighted_sum
    window: day  # here
""",
        ("meter storage", "window", "A weighted_sum adds up over time", "Remove the window"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: duration
    session_by: job
    window: hour  # here
""",
        ("meter storage", "window", "A duration adds up over time", "Remove the window"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: count
    multiplier: gb  # here
""",
        ("meter storage", "multiplier", "A count looks at no values", "aggregation: sum"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: duration
    session_by: phase  # here
""",
        ("meter storage", "session_by", "'phase' says what starts and stops a session", "another dimension"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: duration
    session_by: job
    multiplier: job  # here
""",
        ("meter storage", "multiplier", "'job' says what starts and stops a session", "another dimension"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    agregate: sum  # here
""",
        ("meter storage", "agregate", "Unknown field 'agregate'", "Did you mean 'aggregation'?"),
    ),
    (
        """
meters:
  - id: storage
    aggregation: sum
    keep: newest  # here
""",
        ("meter storage", "keep", "'newest' is not one of latest, first", ""),
    ),
    (
        """
customers:
  - id: gamma
    payment:
      gateway: fil  # here
""",
        ("customer gamma", "payment.gateway", "Unknown gateway 'fil'", "Did you mean 'file'?"),
    ),
    (
        """
customers:
  - id: "a\\tb"  # here
""",
        ("customer a\tb", "id", "holds control characters", "Use letters"),
    ),
    (
        f"""
customers:
  - id: {"x" * 201}  # here
""",
        (f"customer {'x' * 201}", "id", "1 to 200 characters, this has 201", ""),
    ),
    (
        """
customers:
  - name: Nobody  # here
""",
        ("customer without id", "id", "'id' is missing", ""),
    ),
    (
        """
customers:
  - {id: gamma}
  - name: Gamma again
    id: gamma  # here
""",
        ("customer gamma", "id", "There is another one, in ", "another id"),
    ),
    (
        """
customers:
  - name: Acme again
    id: acme  # here
""",
        ("customer acme", "id", "0.yaml on line 17", "another id"),  # in the base file
    ),
    (
        """
account: {name: Another, currency: USD}  # here
""",
        ("account", "id", "There is another one", "remove one"),
    ),
    (
        """
customers:
  - id: gamma
    name: [Gamma]  # here
""",
        ("customer gamma", "name", "Expected a text, not a list", ""),
    ),
]

SOURCES = [
    (
        """
sources:
  - id: logs
    format: xml  # here
""",
        ("source logs", "format", "Unknown format 'xml'", "csv, focus, jsonl"),
    ),
    (
        """
sources:
  - id: logs
    format: csv
    event: {meter: m, timestamp: t, value: v}  # here
""",
        ("source logs", "event.customer", "'customer' is missing", ""),
    ),
    (
        """
sources:
  - id: logs
    format: csv
    event: {customer: c, timestamp: t, value: v}  # here
""",
        ("source logs", "event.meter", "'meter' is missing", ""),
    ),
    (
        """
sources:
  - id: logs
    format: csv
    event: {customer: c, meter: m, value: v}  # here
""",
        ("source logs", "event.timestamp", "'timestamp' is missing", ""),
    ),
    (
        """
sources:
  - id: logs
    format: csv
    event: {customer: c, meter: m, timestamp: t}  # here
""",
        ("source logs", "event.value", "The value is missing", "Name the column"),
    ),
    (
        """
sources:
  - id: fine
    format: focus
    event: {customer: c, meter: m, timestamp: t}
  - id: logs
    format: csv
    event: {customer: c, meter: {value: compute}, timestamp: t}  # here
""",
        ("source logs", "event.value", "The value is missing", "Name the column"),
    ),
    (
        """
sources:
  - id: logs
    format: csv
    event:
      customer: c
      meter: {value: computer}  # here
      timestamp: t
      value: v
""",
        ("source logs", "event.meter.value", "There is no meter 'computer'", "Did you mean 'compute'?"),
    ),
    (
        """
sources:
  - id: cur
    format: focus
    mode: snapshot
    scope: []  # here
""",
        ("source cur", "scope", "must say what a delivery restates", "SubAccountId, BillingPeriodStart"),
    ),
    (
        """
sources:
  - id: cur
    format: focus
    scope: [SubAccountId]  # here
""",
        ("source cur", "scope", "Only a snapshot source has a scope", "mode: snapshot"),
    ),
    (
        """
sources:
  - id: cur
    format: focus
    deadline: 4 days  # here
""",
        ("source cur", "deadline", "Nothing waits for this source", "required: true"),
    ),
    (
        """
sources:
  - id: cur
    format: focus
    time_zone: Europe/Bonn  # here
""",
        ("source cur", "time_zone", "'Europe/Bonn' is no IANA time zone", "Europe/Berlin"),
    ),
]

SUBSCRIPTIONS = [
    (
        """
subscriptions:
  - id: s
    customer: acmee  # here
    plan: payg
    start: 2026-01-01
""",
        ("subscription s", "customer", "There is no customer 'acmee'", "Did you mean 'acme'?"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    plan: paygo  # here
    start: 2026-01-01
""",
        ("subscription s", "plan", "There is no plan 'paygo'", "Did you mean 'payg'?"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
      - start: 2026-02-01
        plan: euro  # here
""",
        ("subscription s", "phases[1].plan", "Plan 'euro' is in EUR, customer 'acme' in USD", "Name a plan in USD"),
    ),
    (
        """
subscriptions:
  - {id: s, customer: acme, plan: payg, start: 2026-01-01, end: 2026-03-01}
  - id: t
    customer: acme
    plan: payg  # here
    start: 2026-02-01
""",
        ("subscription t", "plan", "has product 'functions' by subscription 's'", "End one where the other starts"),
    ),
    (
        """
subscriptions:
  - id: t
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
      - {start: 2026-06-01, plan: metered}  # here
  - {id: s, customer: acme, plan: metered, start: 2026-05-01}
""",
        ("subscription t", "phases[1].plan", "has meter 'requests' by subscription 's'", "phases of one subscription"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
      - {plan: metered, start: 2026-05-01}
      - plan: payg
        start: 2026-04-01  # here
""",
        ("subscription s", "phases[2].start", "does not start after the one before it", "in the order of their starts"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
      - plan: metered  # here
""",
        ("subscription s", "phases[1].start", "'start' is missing", ""),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    end: 2026-04-01
    phases:
      - plan: payg
      - plan: metered
        start: 2026-04-01  # here
""",
        ("subscription s", "phases[1].start", "when the subscription has ended", "Remove the phase"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
        start: 2026-01-02  # here
""",
        ("subscription s", "phases[0].start", "does not start with the subscription", "Leave its start out"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    plan: payg
    start: 2026-02-01
    end: 2026-01-01  # here
""",
        ("subscription s", "end", "The end 2026-01-01 is before the start 2026-02-01", "correct them"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-02-01
    phases: []  # here
""",
        ("subscription s", "phases", "There is no phase", "Write plan"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-02-01
    phases: [{plan: payg}]
    plan: payg  # here
""",
        ("subscription s", "plan", "Both a plan and phases", "Keep one"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    plan: payg
    start: 2026-13-01  # here
""",
        (
            "subscription s",
            "start",
            "'2026-13-01' is neither a day nor an instant",
            "2026-01-01T12:00:00Z with its zone",
        ),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    plan: payg
    start: 2026-01-01T12:00:00  # here
""",
        ("subscription s", "start", "is neither a day nor an instant", "with its zone"),
    ),
    (
        """
subscriptions:
  - id: s
    customer: acme
    start: 2026-01-01
    phases:
      - plan: payg
        plan_version: 2  # here
""",
        ("subscription s", "phases[0].plan_version", "given when the catalog is applied", "Remove it"),
    ),
]


@pytest.mark.parametrize(("text", "expected"), [*PLANS, *OBJECTS, *SOURCES, *SUBSCRIPTIONS])
def test_a_contradiction_is_refused_where_it_stands(
    text: str, expected: tuple[str, str, str, str], only_problem: OnlyProblem
) -> None:
    subject, field, message, hint = expected
    problem = only_problem(text)
    assert (problem.object, problem.field) == (subject, field)
    assert message in problem.message
    assert hint in problem.hint
    assert hint or not problem.hint
