"""Why rows are refused: the reasons that a whole column shares, each with its code."""

from collections.abc import Sequence

from billing_pipeline.catalog.meter import PHASE, START, STOP
from billing_pipeline.core.errors import nearest
from billing_pipeline.usage.arrow import Array
from billing_pipeline.usage.event import MULTIPLIER_SCALE
from billing_pipeline.usage.rows import Reason
from billing_pipeline.usage.values import BadValue

# Fields with a code of their own; the columns of a snapshot scope have their own names and share one.
_CODED = frozenset({"customer", "meter", "timestamp", "value", "event_id"})


def missing(field: str) -> Reason:
    """A row without a value where it needs one."""
    why = BadValue(f"missing_{field}" if field in _CODED else "missing_scope", f"The row has no {field}.")
    return lambda _text, _place: why


def unknown_customer(text: str, _place: int) -> BadValue:
    """A customer that the catalog does not have."""
    return BadValue("unknown_customer", f"No customer {text!r} in the catalog. Add it, then replay.")


def unknown_meter(known: Sequence[str]) -> Reason:
    """A meter that the catalog does not have."""
    return lambda text, _place: BadValue("unknown_meter", f"No meter {text!r} in the catalog. {nearest(text, known)}")


def other_spelling(name: str, known: str) -> Reason:
    """A dimension whose name differs from a known one in case only."""
    why = BadValue(
        "dimension_case", f"The dimension {name!r} is known as {known!r}; names must not differ in case only."
    )
    return lambda _text, _place: why


def two_values(name: str) -> Reason:
    """A dimension that two columns give differently."""
    return lambda text, _place: BadValue("dimension_twice", f"The dimension {name!r} is {text!r} and something else.")


def bad_multiplier(dimension: str, texts: Array) -> Reason:
    """A dimension by which values are multiplied, and which is no number."""
    return lambda _text, place: BadValue(
        "bad_multiplier",
        f"{dimension} = {texts[place].as_py()!r} is no number to multiply by (at most {MULTIPLIER_SCALE} decimals).",
    )


def missing_session(dimension: str) -> Reason:
    """An event of a session that does not say of which."""
    why = BadValue("missing_session", f"The row has no {dimension}, which pairs the start of a session with its stop.")
    return lambda _text, _place: why


def bad_phase(texts: Array) -> Reason:
    """An event of a session that neither starts nor stops it."""
    return lambda _text, place: BadValue(
        "bad_phase", f"{PHASE} = {texts[place].as_py()!r} is neither {START!r} nor {STOP!r}."
    )
