"""Rating: quantities become exact amounts, with their reasons. Pure; money is rounded by core/money.py alone.

rate.py           quantities × prices in force → rated lines
price.py          a price as the catalog writes it: read it, charge a quantity
price_models/     the shelf of models, one file each
tiers.py          what models with tiers share
rates.py          which rate prices a combination of dimension values
terms.py          reading a model's numbers strictly, by its dataclass fields
exact.py          exact arithmetic, and what happens to quotients that have no last digit
convert.py        unit conversion, before the model
bounds.py         minimum and maximum spend, after the model; what of them falls on a part of a period
fees/             what is due for a plan's fees, and what one service period comes to
cumulative.py     on-demand: what is due at each cumulative quantity
between.py        the reasons of a line between two cumulative quantities
quote/            a case in, the amount and its reasons out; its events measured; what a plot of a price shows
"""
