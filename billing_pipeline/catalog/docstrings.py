"""What docstrings say of a class and of its fields: the words of schemas."""

import re
from inspect import cleandoc

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n {5,}.+)*)", re.MULTILINE)


def summary(shape: type) -> str:
    """The first line."""
    return cleandoc(shape.__doc__ or "").partition("\n")[0]


def attributes(shape: type) -> dict[str, str]:
    """What is said of each field."""
    section = cleandoc(shape.__doc__ or "").partition("Attributes:\n")[2]
    return {name: re.sub(r"\s+", " ", said) for name, said in _ATTRIBUTE.findall(section)}
