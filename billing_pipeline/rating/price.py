"""A price: its terms as the catalog writes them, read once and strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, cast, get_args

from billing_pipeline.core.errors import CatalogError, RatingError
from billing_pipeline.rating.price_fields import (
    build,
    choice,
    decimal,
    listed,
    mapping,
    refuse_unknown,
    term_types,
    text,
)
from billing_pipeline.rating.price_models import PRICE_MODELS, Needs, PriceModel, QuantityModel
from billing_pipeline.rating.price_models.dynamic import Dynamic
from billing_pipeline.rating.rates_by_dimension import Rate, RateIndex, index_rates, parse_rates, written
from billing_pipeline.rating.tiers import ZERO

TiersPer = Literal["dimension", "subscription"]

NO_DIMENSIONS: Mapping[str, str] = {}
_BY_DIMENSION = ("by", "rates", "default", "tiers_per")


@dataclass(frozen=True, slots=True)
class Price:
    """A price: how one meter's quantity becomes an amount. Made by :func:`parse_price`.

    Attributes:
        model: the model's name in ``PRICE_MODELS``.
        by: the dimensions whose values are priced; each combination of values is priced on its own.
        rates: the models for named values.
        default: the model for all other values, which share it and its tiers; without ``by``, the only model.
        tiers_per: whether tiers and included units count per combination of values (``dimension``) or over all of
            them (``subscription``).
        included: free units, taken off before the model sees a quantity.
    """

    model: str
    by: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()
    default: PriceModel | None = None
    tiers_per: TiersPer = "dimension"
    included: Decimal = ZERO
    index: RateIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Prepare the rates for look-up. Raises CatalogError where two of them tie."""
        object.__setattr__(self, "index", index_rates(self.rates))

    @property
    def matches(self) -> tuple[Mapping[str, str], ...]:
        """The combinations of dimension values that are priced on their own; all others share the default.

        Empty where there is no default: each combination is told apart, so that one without a rate can be named.
        """
        return tuple(rate.match for rate in self.rates) if self.default else ()

    @property
    def needs(self) -> Needs:
        """What the price needs from metering."""
        return PRICE_MODELS[self.model].needs

    @property
    def in_order(self) -> bool:
        """Whether on demand each arrival is priced on its own, in the order of receipt."""
        return PRICE_MODELS[self.model].in_order

    @property
    def zero_usage(self) -> bool:
        """Whether something is due where nothing was used."""
        return any(getattr(model, "zero_usage", "none") != "none" for model in self._models)

    @property
    def amount_field(self) -> str | None:
        """The dimension of events that holds their amounts, where the price needs amounts."""
        fields = {model.amount_field for model in self._models if isinstance(model, Dynamic)}
        return next(iter(fields), None)

    @property
    def _models(self) -> list[PriceModel]:
        return [*(rate.model for rate in self.rates), *([self.default] if self.default else [])]

    def rate_for(self, dimensions: Mapping[str, str] = NO_DIMENSIONS) -> PriceModel:
        """The price model for these dimension values: the most specific match, else the default.

        Raises:
            RatingError: nothing matches and there is no default; never a silent zero.
        """
        rate = self.index.find(dimensions)
        model = self.default if rate is None else rate.model
        if model is None:
            raise self._unpriced(dimensions)
        return model

    def combination(self, dimensions: Mapping[str, str]) -> Mapping[str, str]:
        """The values that usage with these dimensions is measured and priced by; none for what shares the default.

        Raises:
            RatingError: nothing matches and there is no default.
        """
        if not self.by:
            return NO_DIMENSIONS
        if self.index.find(dimensions) is not None:
            return {name: value for name in self.by if (value := dimensions.get(name, ""))}
        if self.default is None:
            raise self._unpriced(dimensions)
        return NO_DIMENSIONS

    def _unpriced(self, dimensions: Mapping[str, str]) -> RatingError:
        priced = {name: dimensions.get(name, "") for name in self.by}
        return RatingError(f"No rate matches {written(priced)}.", hint="Add a rate for it, or a default.")


def parse_price(terms: Mapping[str, object]) -> Price:
    """Read a price. ``included`` may stand among its terms; minimum, maximum and convert stand beside them.

    Raises:
        CatalogError: a field is unknown, missing, malformed or contradicts another; ``path`` says which.
    """
    given = dict(mapping(terms, ()))
    if given.get("model") is None:
        raise CatalogError("The price has no 'model'.", hint=f"Models: {', '.join(sorted(PRICE_MODELS))}.")
    name = choice(given["model"], tuple(PRICE_MODELS), ("model",))
    kind = PRICE_MODELS[name]
    refuse_unknown(given, ("model", "included", *term_types(kind), *_BY_DIMENSION), ())
    given = {key: value for key, value in given.items() if value is not None and key != "model"}
    included = _included(kind, given.pop("included", None))
    own = {key: given.pop(key) for key in _BY_DIMENSION if key in given}
    if own:
        return _by_dimension(name, own, given, included)
    return Price(name, default=build(kind, given), included=included)


def _included(kind: type[PriceModel], value: object) -> Decimal:
    included = ZERO if value is None else decimal(value, ("included",))
    if included and not issubclass(kind, QuantityModel):
        hint = "Use free_events or free_amount."
        raise CatalogError("Included units go with models of a quantity.", hint=hint, path=("included",))
    return included


def _by_dimension(name: str, own: Mapping[str, object], given: Mapping[str, object], included: Decimal) -> Price:
    """A price with ``by``: either rates, a default or both, or else one model for each combination of values."""
    kind = PRICE_MODELS[name]
    by = tuple(text(item, ("by", i)) for i, item in enumerate(listed(own.get("by", ()), ("by",))))
    if not by or len(set(by)) != len(by):
        raise CatalogError("'by' must name the dimensions that are priced, each once.", path=("by",))
    tiers_per = choice(own.get("tiers_per", "dimension"), get_args(TiersPer), ("tiers_per",))
    if {"rates", "default"} & own.keys():
        refuse_unknown(given, _BY_DIMENSION, ())  # with rates, the model's fields stand in each rate
        rates = parse_rates(kind, own.get("rates", ()), by)
        default = build(kind, own["default"], ("default",)) if "default" in own else None
    else:
        rates, default = (Rate({}, build(kind, given)),), None
    price = Price(name, by, rates, default, cast(TiersPer, tiers_per), included)
    _check_dimensional(price)
    return price


def _check_dimensional(price: Price) -> None:
    models = price._models  # noqa: SLF001 - of the same module
    if not models:
        raise CatalogError("The price has no rates.", hint="Add rates, a default, or both.", path=("rates",))
    if len({model.amount_field for model in models if isinstance(model, Dynamic)}) > 1:
        raise CatalogError("All rates must find the amounts in one dimension.", path=("rates",))
    if price.tiers_per == "subscription" and any(model != models[0] for model in models):
        hint = "Give all rates the same amounts, or count tiers per dimension."
        raise CatalogError("Tiers over all values need one table of rates.", hint=hint, path=("tiers_per",))
    if price.tiers_per == "dimension" and price.zero_usage:
        hint = "Use tiers_per: subscription, or a fee."
        raise CatalogError("Without usage there is no value whose flat amount is due.", hint=hint, path=("by",))
