"""Every part of the vocabulary on one page: readable in both themes, and no part wider than a phone."""

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from playwright.sync_api import Page

from accounts.roles import public
from tests.browser.axe import serious_findings

pytestmark = pytest.mark.browser

PAGE = """{% extends "base.html" %}
{% block title %}Parts{% endblock %}{% block heading %}Parts{% endblock %}
{% block actions %}<a class="btn" href="#">Other</a><a class="btn btn--primary" href="#">Main thing</a>{% endblock %}
{% block content %}
<div class="grid grid--small">
  <div class="card stat"><span class="stat__label">Truthful rate</span><span class="stat__value">95.8%</span><span class="stat__interval">93.0 – 97.5%</span></div>
  <div class="card stat"><span class="stat__label">Items</span><span class="stat__value">100,000</span><span class="stat__interval">in 2 projects</span></div>
</div>
<div class="split"><section class="card stack">
  <h2 class="card__title">Scores</h2>
  <div class="row row--tight"><span class="chip chip--m2">−2</span><span class="chip chip--m1">−1</span><span class="chip chip--0">0</span><span class="chip chip--p1">+1</span><span class="chip chip--p2">+2</span><span class="chip chip--none">not scored</span><span class="chip">chip</span></div>
  <div class="row row--tight">{% for state in states %}<span class="badge badge--{{ state }}">{{ state }}</span>{% endfor %}<span class="badge">plain</span></div>
  <div class="row row--tight"><button class="btn btn--primary">Primary</button><button class="btn">Plain</button><button class="btn btn--quiet">Quiet</button><button class="btn btn--danger">Danger</button><button class="btn btn--small">Small</button><button class="btn" aria-pressed="true">Pressed</button><button class="btn" disabled>Off</button></div>
  {% for tone in tones %}<p class="notice notice--{{ tone }}">A notice with <a href="#">a link</a> in it: {{ tone }}</p>{% endfor %}
  <div class="progress"><progress max="10" value="4" aria-label="Progress"></progress><span class="num muted">4 of 10</span></div>
  <nav class="tabs" aria-label="Tabs"><a href="#" aria-current="page">One</a><a href="#">Two</a><a href="#">Three</a></nav>
  <p class="muted">Muted words, and <kbd>Ctrl</kbd> <kbd>↵</kbd> keys, <code>code</code>.</p>
</section><form class="card stack">
  <div class="field"><label class="field__label" for="a">Name</label><input id="a" placeholder="placeholder"><p class="field__help">Help.</p><p class="field__error">Wrong.</p></div>
  <div class="field"><label class="field__label" for="b">Choice</label><select id="b"><option>One</option></select></div>
  <div class="field"><label class="field__label" for="n">Number</label><input id="n" type="number" value="3"></div>
  <div class="field"><div class="field__check"><input type="checkbox" id="c" checked><label class="field__label" for="c">Tick</label></div></div>
  <div class="field"><label class="field__label" for="f">File</label><input id="f" type="file"></div>
  <div class="field"><label class="field__label" for="d">Critique</label><textarea id="d">Words</textarea></div>
</form></div>
<form class="toolbar"><div class="field"><label class="field__label" for="q">Search</label><input id="q"></div><button class="btn">Show</button><span class="muted push">12 things</span></form>
<div class="table-wrap"><table class="table"><thead><tr><th scope="col">Model</th><th scope="col" class="num">Value</th><th scope="col">Note</th></tr></thead>
<tbody><tr aria-selected="true"><th scope="row"><a href="#">atlas-0-grpo</a></th><td class="num">0.958</td><td class="muted">selected</td></tr><tr><th scope="row"><a href="#">atlas-base-0</a></th><td class="num">0.635</td><td>plain</td></tr></tbody></table></div>
<div class="split"><dl class="card kv"><dt>Method</dt><dd>GRPO</dd><dt>Folder</dt><dd class="mono">/var/lib/rlwhf/artifacts/grpo/atlas-0-grpo-with-a-long-name/model</dd></dl>
<div class="card stack"><pre class="log">step 1 loss 2.0
step 2 loss 1.5</pre><pre class="code">rlwhf grpo-train --recipe atlas-grpo --dataset atlas-0-prompts --base atlas-base-0</pre><code class="secret">rlwhf_abcdefghijklmnopqrstuvwxyz0123456789</code><ol class="lineage"><li>base</li><li>sft</li><li><strong>grpo</strong></li></ol></div></div>
<div class="prose card"><p>An answer to be read: it has room to breathe and lines of a length that the eye can follow back.</p></div>
<div class="empty"><h2>Nothing yet</h2><p>What would be here, and how it gets here.</p><a class="btn btn--primary" href="#">Do it</a></div>
{% endblock %}"""  # noqa: E501
STATES = ("queued", "starting", "running", "stopping", "succeeded", "failed", "stopped")
TONES = ("info", "ok", "warn", "error")


@public
def parts(request: HttpRequest) -> HttpResponse:
    return HttpResponse(engines["django"].from_string(PAGE).render({"states": STATES, "tones": TONES}, request))


urlpatterns = [path("parts/", parts), path("", include(settings.ROOT_URLCONF))]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_parts_are_readable_and_fit(page: Page, sign_in, shot, theme):
    sign_in("admin")
    page.emulate_media(color_scheme=theme)
    page.goto("/parts/")
    assert not serious_findings(page)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    if theme == "light":
        shot(page, "parts")
