"""Documents as expected and as found: what differs, said so that a person sees at once what is wrong.

What an expectation leaves out has a default (no tax, no credit, finalized) or, where it has none, is not compared:
version, cutoff, lock_at, currency; of a line quantity, service period and description.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from billing_pipeline_tests.scenarios.golden_month import Content

ZERO = Decimal(0)
_AMOUNTS = ("subtotal", "tax", "total", "customer_credit_applied", "amount_due")
_WHERE_GIVEN = ("number", "currency", "lock_at", "version", "because", "cutoff", "payment_status")
Key = tuple[str, str, str, str]


def differences(expected: Sequence[Content], found: Sequence[Content], *, whole: bool = True) -> list[str]:
    """What differs; nothing where all is as expected. ``whole``: what is not expected must not be there."""
    wanted, there = _by_key(expected), _by_key(found)
    wrong = []
    for key in sorted({*wanted, *there} if whole else wanted):
        name, pairs = " ".join(key), list(zip(wanted[key], there[key], strict=False))
        wrong += [f"{name}: {what}" for one, other in pairs for what in _document(one, other)]
        wrong += [f"{name}: is missing" for _ in wanted[key][len(pairs) :]]
        wrong += [f"{name}: was not expected\n{_shown(one)}" for one in there[key][len(pairs) :] if whole]
    return wrong


def _by_key(documents: Sequence[Content]) -> dict[Key, list[Content]]:
    """Documents of one key are in the order of their numbers: a reissue comes after what it replaces."""
    found = defaultdict(list)
    for one in sorted(documents, key=lambda one: str(one.get("number") or "")):
        found[one["customer"], one["kind"], one["period"], one["issue_date"]].append(one)
    return found


def _document(expected: Content, found: Content) -> Iterator[str]:
    status = expected.get("status", "finalized")
    if found["status"] != status:
        yield f"status is {found['status']}, expected {status}"
    wanted = _amounts(expected)
    for name in _AMOUNTS:
        if Decimal(found[name]) != wanted[name]:
            yield f"{name} is {found[name]}, expected {wanted[name]}"
    for name in _WHERE_GIVEN:
        if name in expected and str(found.get(name)).removesuffix("+00:00") != expected[name]:
            yield f"{name} is {found.get(name)}, expected {expected[name]}"
    yield from _lines(expected["lines"], found["lines"])


def _amounts(expected: Content) -> Mapping[str, Decimal]:
    total, tax, credit = (Decimal(expected.get(name, "0")) for name in ("total", "tax", "customer_credit_applied"))
    defaults = {"total": total, "tax": tax, "customer_credit_applied": credit, "subtotal": total - tax}
    defaults["amount_due"] = max(total, ZERO) - credit
    return {name: Decimal(expected[name]) if name in expected else amount for name, amount in defaults.items()}


def _lines(expected: Sequence[Content], found: Sequence[Content]) -> Iterator[str]:
    left = list(found)
    for line in expected:
        same = next((one for one in left if _same_line(line, one)), None)
        if same is None:
            yield f"lacks the line {_line(line)}"
        else:
            left.remove(same)
    for line in left:
        yield f"has the line {_line(line)}"


def _same_line(expected: Content, found: Content) -> bool:
    quantity, service = expected.get("quantity"), expected.get("service")
    return (
        (expected["kind"], expected.get("price"), expected.get("adjusts"), expected.get("dimensions") or {})
        == (found["kind"], found["price"], found.get("adjusts"), found["dimensions"])
        and Decimal(expected["amount"]) == Decimal(found["amount"])
        and (quantity is None or _quantity(quantity) == _quantity(found["quantity"]))
        and (service is None or service == _service(found))
        and expected.get("description", "") in found["description"]
    )


def _quantity(text: str | None) -> Decimal | None:
    return None if text in {None, "none"} else Decimal(str(text))


def _service(line: Content) -> str:
    service = line.get("service_period")
    return f"{service['start']}/{service['end']}" if service else "none"


def _line(line: Content) -> str:
    names = ("kind", "adjusts", "price", "dimensions", "quantity", "amount", "description")
    words = [f"{name} {line[name]}" for name in names if line.get(name)]
    return ", ".join([*words, f"service {line.get('service') or _service(line)}"])


def _shown(document: Content) -> str:
    amounts = " ".join(f"{name} {document[name]}" for name in _AMOUNTS)
    return "\n".join([f"    {document['status']}: {amounts}", *(f"    {_line(line)}" for line in document["lines"])])
