"""Which font prints which character, so that any name can stand on a PDF, and always the same way.

DejaVu Sans, which comes with matplotlib and is embedded, prints Latin, Greek, Cyrillic and most signs. Chinese,
Japanese and Korean are printed with the fonts that PDF readers bring along. What is written from the right, or is in
none of these fonts, is printed as □, and the paper says so; HTML shows it.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

PLAIN, BOLD = "DejaVuSans", "DejaVuSans-Bold"
MISSING = "□"
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})
_UNSEEN = frozenset({"Cc", "Cf"})  # controls and marks of direction
_NO_BREAK = {"\u202f": "\u00a0", "\u2007": "\u00a0"}  # reportlab breaks lines at the narrow ones
# What readers bring along has no bold face.
_KANA, _HANGUL = "HeiseiKakuGo-W5", "HYGothic-Medium"
_HAN = {"ja": _KANA, "ko": _HANGUL, "zh_TW": "MSung-Light", "zh_HK": "MSung-Light"}
_SIMPLIFIED = "STSong-Light"
_EAST_ASIAN = (  # first and last code point of blocks, and their font; None: as the customer's language has it
    (0x3040, 0x30FF, _KANA),
    (0x3000, 0x303F, None),
    (0x3400, 0x4DBF, None),
    (0x4E00, 0x9FFF, None),
    (0xAC00, 0xD7A3, _HANGUL),
    (0xF900, 0xFAFF, None),
    (0xFF00, 0xFFEF, None),
)


@cache
def _covered() -> frozenset[int]:
    """Code points that DejaVu Sans prints; registers the fonts."""
    fonts = {name: TTFont(name, str(_folder() / f"{name}.ttf")) for name in (PLAIN, BOLD)}
    for font in fonts.values():
        pdfmetrics.registerFont(font)
    pdfmetrics.registerFontFamily(PLAIN, normal=PLAIN, bold=BOLD, italic=PLAIN, boldItalic=BOLD)
    for name in {_KANA, _HANGUL, _SIMPLIFIED, *_HAN.values()}:
        pdfmetrics.registerFont(UnicodeCIDFont(name))
    return frozenset(fonts[PLAIN].face.charToGlyph)


def _folder() -> Path:
    """The fonts of matplotlib, which need not be imported for it."""
    spec = find_spec("matplotlib")
    assert spec is not None, "matplotlib is a requirement"  # noqa: S101
    assert spec.origin is not None, "matplotlib is a package of files"  # noqa: S101
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"


@dataclass
class Ink:
    """Writes text for one paper.

    Attributes:
        locale: the customer's: it decides how Chinese characters look.
        missing: whether a character could not be printed.
    """

    locale: str
    missing: bool = False

    def __post_init__(self) -> None:
        _covered()

    def markup(self, text: str) -> str:
        """The text for a paragraph, every run in a font that prints it."""
        written = []
        for font, signs in groupby(self._signs(text), key=lambda sign: sign[0]):
            run = escape("".join(sign for _, sign in signs))
            written.append(f'<font name="{font}">{run}</font>' if font else run)
        return "".join(written)

    def _signs(self, text: str) -> Iterator[tuple[str | None, str]]:
        """(font, sign); no font: the paragraph's own."""
        covered = _covered()
        for sign in unicodedata.normalize("NFC", text):
            if unicodedata.category(sign) in _UNSEEN:
                if sign.isspace():
                    yield None, " "
            elif ord(sign) in covered and unicodedata.bidirectional(sign) not in _FROM_THE_RIGHT:
                yield None, _NO_BREAK.get(sign, sign)
            elif font := self._east_asian(ord(sign)):
                yield font, sign
            else:
                self.missing = True
                yield None, MISSING

    def _east_asian(self, point: int) -> str | None:
        for first, last, font in _EAST_ASIAN:
            if first <= point <= last:
                return font or _HAN.get(self.locale) or _HAN.get(self.locale[:2]) or _SIMPLIFIED
        return None
