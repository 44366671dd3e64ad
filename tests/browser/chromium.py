"""Where the browser is, how it is started, and how a page is photographed."""

import os
import re
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

# A window without a person needs no suggestions under its address bar: Chromium would load two pages of them for each profile.
NO_SUGGESTIONS = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup", "PreloadTopChromeWebUI"]
# The last such list is the one that holds, so what Playwright switches off is named again.
OFF_BY_PLAYWRIGHT = """
    AvoidUnnecessaryBeforeUnloadCheckSync DestroyProfileOnBrowserClose HttpsUpgrades HttpsFirstBalancedModeAutoEnable
    LensOverlay MediaRouter PaintHolding ThirdPartyStoragePartitioning AvoidCorsURLLoaderRestartOnRedirect
    OptimizationHints NetworkTimeServiceQuerying AimEnabled PreconnectToSearch
"""
FLAGS = [
    f"--disable-features={','.join([*NO_SUGGESTIONS, *OFF_BY_PLAYWRIGHT.split()])}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",
]
WIDTHS = (1440, 390)
THEMES = ("light", "dark")
RESULTS = Path(__file__).resolve().parents[2] / "test-results"


def chromium_path() -> str | None:
    """`$RLWHF_CHROMIUM`, else the first Chromium or Chrome on the PATH."""
    asked = os.environ.get("RLWHF_CHROMIUM")
    if asked:
        return asked if Path(asked).exists() else None
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    path = chromium_path()
    assert path is not None
    return playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)


def wait_for_charts(page: Page) -> None:
    """Until every chart in sight of the page is drawn."""
    page.wait_for_function(
        "() => [...document.querySelectorAll('.chart[data-chart]')]"
        ".every(e => !document.getElementById(e.dataset.chart) || e.querySelector('.main-svg'))"
    )


def photograph(page: Page, name: str, *, folder: Path = RESULTS) -> list[Path]:
    """The whole page at both widths in both themes, as `<name>-<width>-<theme>.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    paths = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900 if width > 600 else 844})
            wait_for_charts(page)
            page.wait_for_timeout(150)
            path = folder / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}-{width}-{theme}.png"
            page.screenshot(path=path, full_page=True)
            paths.append(path)
    page.emulate_media(color_scheme="light")
    if before:
        page.set_viewport_size(before)
    return paths
