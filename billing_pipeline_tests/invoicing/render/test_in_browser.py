"""Paper in a browser: it fits the window, fetches nothing. Pictures of it are left in ``.artifacts/screenshots``."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from billing_pipeline.invoicing.render.html import invoice_html
from billing_pipeline_tests.invoicing.render.papers import REASONS, document, every_kind, to

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
SCREENSHOTS = Path(__file__).parents[3] / ".artifacts" / "screenshots"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="no browser is installed: chromium, chromium-browser, google-chrome"),
]


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


DETAILED = document(lines=every_kind(details=REASONS), detailed=True, buyer=to("de_DE", "Łódź Żółć GmbH"))
PAPERS = {
    "invoice": document(),
    "invoice-details": DETAILED,
    "invoice-draft": document(status="draft", number=None, name="6d1f0f0e-5f3c-5c0a-9a3e-0b8f4f1f6a11"),
    "invoice-arabic": document("KWD", buyer=to("ar_KW", "شركة الكويت")),
}


@pytest.mark.parametrize("name", PAPERS)
@pytest.mark.parametrize("width", [1200, 420])
def test_an_invoice_fits_the_window_and_asks_nobody(page: Page, name: str, width: int) -> None:
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.set_viewport_size({"width": width, "height": 1400})
    page.set_content(invoice_html(PAPERS[name]))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{width}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("columnheader").count() == (5 if PAPERS[name].detailed else 4)
    assert fetched == []
