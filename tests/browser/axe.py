"""axe's findings on the page in the browser."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS = {"serious", "critical"}


def serious_findings(page: Page) -> list[str]:
    """What axe calls serious or critical, one line each. Run by the browser's debugger, outside the page's policy."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']} — {node['html'][:160]} — {node.get('failureSummary', '')[:300]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
