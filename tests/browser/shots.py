"""Photographs pages of a running site at both widths and in both themes.

python -m tests.browser.shots http://127.0.0.1:8000/ http://127.0.0.1:8000/items/ --login admin:PASSWORD --out test-results
"""

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import RESULTS, launch, photograph


def _log_in(page: Page, site: str, name: str, password: str) -> None:
    page.goto(f"{site}/account/login/")
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.click("main button.btn--primary")
    page.wait_for_load_state()


def name_of(url: str) -> str:
    """What an address' photographs are called: its path, and its query, so that two views of a page do not share a name."""
    parts = urlsplit(url)
    path = parts.path.strip("/") or "home"
    return f"{path}-{parts.query}" if parts.query else path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("urls", nargs="+")
    parser.add_argument("--login", metavar="NAME:PASSWORD")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.on("console", lambda message: print(f"{message.type}: {message.text}") if message.type == "error" else None)
        if options.login:
            parts = urlsplit(options.urls[0])
            _log_in(page, f"{parts.scheme}://{parts.netloc}", *options.login.split(":", 1))
        for url in options.urls:
            page.goto(url)
            for path in photograph(page, name_of(url), folder=options.out):
                print(path)
        browser.close()


if __name__ == "__main__":
    main()
