"""Rating: quantities become exact amounts, with their reasons. Pure; nothing here rounds money or reads a clock.

price.py          a price as the catalog writes it: parse it, charge a quantity
price_models/     the shelf of models, one file each
tiers.py          what tiers share
terms.py          reading a model's numbers strictly, from its dataclass fields
exact.py          what happens to quotients that have no last digit
convert.py        unit conversion, before the model
bounds.py         minimum and maximum spend, after the model
cumulative.py     on-demand: what is due at each cumulative quantity
quote.py          a price and a quantity (or events) in, the amount and its reasons out
quoted_events.py  aggregating a handful of quoted events in plain Python
docs.py           docs/prices.md, written from the models' own docstrings and examples
"""
