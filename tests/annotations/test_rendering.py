"""Texts as HTML: formulas, code and tables as they should look, and nothing in them that acts."""

import time
from html.parser import HTMLParser

import pytest

from annotations.text.conversation import conversation
from annotations.text.formulas import MATHML, NotAFormula, mathml
from annotations.text.rendering import LONGEST_MARKDOWN, markdown_html

HARMLESS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h3", "h4", "h5", "h6", "table",
    "thead", "tbody", "tr", "th", "td", "div", "span",
} | set(MATHML)  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><style>*{display:none}</style></svg>",
    "<img src=x onerror=alert(1)> ![x](https://elsewhere.example/a.png)",
    "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](data:text/html,x) [d](vbscript:x) <javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
    '[a](https://x.example "\\"onmouseover=alert(1)")',
    "<math href='javascript:alert(1)'><mi>x</mi></math>",
    "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "$\\href{javascript:alert(1)}{x}$ and $$\\href{javascript:alert(1)}{x}$$",
    "$\\text{<script>alert(1)</script>}$",
    "$\\text{</mtext></math><img src=x onerror=alert(1)>}$",
    "$\\text{&lt;script&gt;alert(1)&lt;/script&gt;}$",
    "$\\style{background:url(https://elsewhere.example)}{x}$ $\\class{a}{x}$ $\\id{main}{x}$ $\\color{red\" onclick=\"x}{y}$",
    "$\\frac{<b>}{\\unknown}$ $\\begin{x}$",
    '```python" onclick="alert(1)\nx\n```',
    "```html\n<script>alert(1)</script>\n```",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "|<script>|$\\href{javascript:a}{b}$|\n|-|-|\n|<b onclick=x>|`<i>`|",
    "<a href='https://x.example' style='position:fixed' id=main class=btn>x</a>",
    "https://x.example/<script>alert(1)</script>",
]  # fmt: skip


class Found(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_acts_comes_through(text):
    for tag, attributes in Found(markdown_html(text)).elements:
        assert tag in HARMLESS, tag
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "id", "src", "srcset"}]
        if "href" in attributes:
            assert tag == "a" and (attributes["href"] or "").startswith(("http://", "https://", "mailto:"))
        classes = (attributes.get("class") or "").split()
        assert all(name.startswith(("hl-", "formula", "tablescroll")) for name in classes)


@pytest.mark.parametrize(
    "text",
    ["It costs $5 and $10.", "from $5-$10, or 10$ to 20$", "US$5 and US$6", "$HOME/$PATH", "$5 or he pays 10$ now", "a \\$5\\$ b",
     "$ x $", "100$", "$", "$$", "$$$$", "\\(", "`$x$`", "\\\\(x\\\\)"],
)  # fmt: skip
def test_money_and_lone_dollars_stay_text(text):
    assert "<math" not in markdown_html(text) and "formula" not in markdown_html(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("$x^2$", '<math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'),
        ("so $5$, and $2x + 3$.", "<mn>5</mn>"),
        ("\\(a_1\\)", "<msub><mi>a</mi><mn>1</mn></msub>"),
        ("$$E=mc^2$$", '<div class="formula"><math display="block">'),
        ("as $$E=mc^2$$ says", '<p>as <math display="block">'),
        ("\\[\n\\frac{1}{2}\n\\]", '<div class="formula"><math display="block"><mrow><mfrac>'),
        ("text\n$$\nx\n$$\ntext", '<p>text</p>\n<div class="formula">'),
        ("- a\n  $$\n  x\n  $$", '<div class="formula">'),
        ("|a|\n|-|\n|$x$|", "<td><math"),
        ("*a* $a*b*c$", "<mo>*</mo>"),
        ("$\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}$", "<mtable><mtr><mtd>"),
    ],
)
def test_formulas_become_mathml(text, part):
    assert part in markdown_html(text)


@pytest.mark.parametrize(
    "text", ["$\\frac$", "$x_{$", "$\\nosuchcommand{x}$", "$$\\begin{pmatrix}$$", "\\[\\left(\\]", "$a^b^c$"]
)
def test_wrong_latex_shows_its_source(text):
    html = markdown_html(text)
    assert f'<code class="formula__source">{text}</code>' in html and "<math" not in html


def test_a_formula_too_long_or_too_deep_is_refused():
    for latex in ("x" * 2_001, "{" * 400 + "x" + "}" * 400, "x" + "_{x" * 500 + "}" * 500, " "):
        with pytest.raises(NotAFormula):
            mathml(latex, display=False)
    html = markdown_html("$x$ " * 400)
    assert html.count("<math") == 300 and html.count("formula__source") == 100


def test_code_is_coloured_where_its_language_is_known_and_shown_as_it_is():
    assert '<span class="hl-k">def</span>' in markdown_html("```py\ndef f(): pass\n```")
    assert markdown_html("```brainfuck\n+-<>\n```") == "<pre><code>+-&lt;&gt;\n</code></pre>\n"
    assert "hl-" not in markdown_html("```py\n" + "x = 1\n" * 3_000 + "```")


def test_tables_scroll_and_headings_start_below_the_pages_own():
    assert markdown_html("|a|\n|-|\n|b|").startswith('<div class="tablescroll"><table>')
    assert markdown_html("# a\n\n###### b") == "<h3>a</h3>\n<h6>b</h6>\n"


def test_what_is_very_long_is_plain_text():
    assert markdown_html("<b>" + "x" * LONGEST_MARKDOWN).startswith("<pre>&lt;b&gt;xxx")


@pytest.mark.parametrize(
    "text",
    ["$a " * 30_000, "$$\n" * 33_000, "\\[\n" * 33_000, "\\(" * 50_000, "*a_" * 33_000, "[" * 100_000, ">" * 100_000,
     "~~a " * 25_000, "|" * 50_000 + "\n" + "|-" * 25_000, "$x_1^2$ " * 12_000,
     "```html\n" + "<a " * 3_000 + "\n```", "<math>" * 16_000, "\n".join("  " * (n % 50) + "- x" for n in range(900))],
)  # fmt: skip
def test_hostile_sizes_take_seconds_at_most(text):
    began = time.process_time()
    markdown_html(text[:LONGEST_MARKDOWN])
    assert time.process_time() - began < 10  # a tenth of that on an idle machine; what is meant is: not minutes


def test_long_conversations_fold_down_to_their_last_messages():
    def talk(count):
        return conversation([{"role": "user", "content": str(n)} for n in range(count)])

    assert [len(part) for one in (1, 4, 5, 40) for part in (talk(one).folded, talk(one).recent)] == [0, 0, 0, 3, 2, 2, 37, 2]
    assert talk(40).last["content"] == "39" and not talk(1).has_before
    assert not conversation([{"role": "user", "content": "x" * 281}]).is_short
