"""PDF and HTML: the same bytes whenever made, any name, any length."""

import re
import subprocess
import sys
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from billing_pipeline.invoicing.render.document import PaperDocument, Seller
from billing_pipeline.invoicing.render.html import invoice_html
from billing_pipeline.invoicing.render.ink import MISSING, Ink
from billing_pipeline.invoicing.render.pdf import invoice_pdf
from billing_pipeline_tests.invoicing.render.papers import REASONS, document, every_kind, to, usage

ROOT = Path(__file__).parents[3]
NAMES = {
    "latin": "Łódź Ærøskøbing Çelik",
    "greek and cyrillic": "Αθήνα Київ",
    "japanese": "株式会社さくら",
    "korean": "서울 주식회사",
    "chinese": "北京有限公司",
    "arabic": "شركة الكويت",
    "hebrew": "שלום",
    "hindi": "दिल्ली",
    "emoji": "Rocket 🚀 Ltd",
    "markup": "<b>Fish & Chips</b> ]]> {{ x }}",
    "controls": "a\tb\u200fc\u0000d",
    "nothing": "",
}


def pages(made: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", made))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("locale", [None, "de_DE", "ja_JP", "zh_TW", "ar_KW"])
def test_any_name_can_be_printed(name: str, locale: str | None) -> None:
    made = document(buyer=to(locale, name), lines=(usage(dimensions={name: name}, description=name, unit=name),))
    assert invoice_pdf(made).startswith(b"%PDF-")
    assert invoice_html(made).startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("text", "written", "missing"),
    [
        ("Łódź & Co", "Łódź &amp; Co", False),
        ("東京 Inc", '<font name="HeiseiKakuGo-W5">東京</font> Inc', False),
        ("שלום Ltd", f"{MISSING * 4} Ltd", True),
        ("1\u202f000 a\u200fb\tc", "1\u00a0000 ab c", False),
        ("A\u030a", "Å", False),  # one sign, however it was typed
    ],
)
def test_what_the_font_lacks_is_printed_by_another_or_is_owned_up_to(text: str, written: str, missing: bool) -> None:  # noqa: FBT001 - a column
    ink = Ink("ja_JP")
    assert (ink.markup(text), ink.missing) == (written, missing)


def test_chinese_characters_look_as_the_customer_writes_them() -> None:
    fonts = {locale: Ink(locale).markup("東").split('"')[1] for locale in ("ja_JP", "ko_KR", "zh_TW", "zh_CN", "en_US")}
    assert list(fonts.values()) == ["HeiseiKakuGo-W5", "HYGothic-Medium", "MSung-Light", "STSong-Light", "STSong-Light"]


@pytest.mark.parametrize("locale", ["ar_KW", "he_IL", "hi_IN", "th_TH"])
def test_days_are_legible_where_the_customers_script_is_not(locale: str) -> None:
    assert invoice_pdf(document(buyer=to(locale))) == invoice_pdf(document(buyer=to("en_US")))
    assert invoice_html(document(buyer=to(locale))) != invoice_html(document(buyer=to("en_US")))


def long_one(lines: int) -> PaperDocument:
    return document(lines=every_kind(details=REASONS) * lines, detailed=True)


def test_hundreds_of_lines_go_over_many_pages() -> None:
    assert pages(invoice_pdf(document())) == 1
    assert pages(invoice_pdf(long_one(40))) > 10


def test_what_is_very_long_is_set_all_the_same() -> None:
    rows = (
        usage(description="word " * 3000, dimensions={"a" * 400: "b" * 4000}, unit="u" * 50),
        usage(description="w" * 9000, product="P" * 3000),
    )
    seller = Seller("S" * 4000, tuple("a" * 2000 for _ in range(40)), "t" * 400)
    made = document(lines=rows, seller=seller, buyer=to("de_DE", "N" * 5000, "x" * 500), reason="r" * 3000)
    assert pages(invoice_pdf(made)) > 5


@pytest.mark.parametrize("made", [document(), long_one(3), document(status="draft", buyer=to("ja_JP", "東京"))])
def test_made_again_it_is_the_same(made: PaperDocument) -> None:
    assert invoice_pdf(made) == invoice_pdf(made)
    assert invoice_html(made) == invoice_html(made)


SCRIPT = """
from hashlib import sha256
from billing_pipeline.invoicing.render.html import invoice_html
from billing_pipeline.invoicing.render.pdf import invoice_pdf
from billing_pipeline_tests.invoicing.render.test_paper import long_one
print(sha256(invoice_pdf(long_one(3)) + invoice_html(long_one(3)).encode()).hexdigest())
"""


def test_another_process_on_another_day_makes_the_same() -> None:
    ours = sha256(invoice_pdf(long_one(3)) + invoice_html(long_one(3)).encode()).hexdigest()
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == ours


class Reading(HTMLParser):
    """What a browser would fetch or close wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_html_is_one_whole_file_and_takes_names_as_text() -> None:
    made = document(buyer=to("de_DE", NAMES["markup"]), lines=every_kind(details=REASONS), detailed=True)
    reading = Reading()
    reading.feed(invoice_html(made))
    assert (reading.open, reading.fetched) == ([], [])
    assert NAMES["markup"] in reading.text
    assert '<html lang="de">' in invoice_html(made)
