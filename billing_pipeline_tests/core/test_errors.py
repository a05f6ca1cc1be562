"""Errors: a code for machines, and the same on the other side of a process."""

import pickle

import pytest

from billing_pipeline.core.errors import BillingError, CatalogError, Refused, nearest


def kinds(root: type[BillingError] = BillingError) -> list[type[BillingError]]:
    return [root, *(kind for child in root.__subclasses__() for kind in kinds(child))]


def test_codes_are_unique() -> None:
    codes = [kind("x").code for kind in kinds() if kind.__module__.startswith("billing_pipeline.core")]
    assert "catalog_error" in codes
    assert len(set(codes)) == len(codes)


def test_an_error_says_what_and_what_next() -> None:
    assert str(Refused("No.", hint="Do that.")) == "No. Do that."
    assert str(Refused("No.")) == "No."


@pytest.mark.parametrize("error", [Refused("No.", hint="Do that."), CatalogError("Bad.", hint="Mend.", path=("a", 0))])
def test_an_error_crosses_processes(error: BillingError) -> None:
    other = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))


def test_the_nearest_name() -> None:
    assert nearest("volum", ("volume", "package")) == "Did you mean 'volume'?"
    assert nearest("xyz", ("b", "a")) == "Known: a, b."
    assert nearest("xyz", ()) == "Known: none."
