"""Texts that somebody wrote, as HTML that is safe to show: Markdown, formulas, code in colours.

No text brings HTML of its own (the parser escapes it), and what comes out is cleaned all the same: by nh3, with a list of what
may pass. No images: they would call other machines.
"""

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES

from annotations.text.formula_rules import formulas
from annotations.text.formulas import MATHML, NotAFormula, mathml

# What is longer than this is shown as plain text: nobody reads it for its headings.
LONGEST_MARKDOWN = 100_000
# Shorter texts are shown again and again, to one rater after the other.
LONGEST_REMEMBERED = 8_000
LONGEST_CODE = 10_000
MOST_FORMULAS = 300
# Languages that are coloured, by the names that people write. Few on purpose: some lexers are slow on what is not their language.
LEXERS = {
    "bash": "bash", "sh": "bash", "shell": "bash", "c": "c", "cpp": "cpp", "c++": "cpp", "css": "css", "diff": "diff", "go": "go",
    "html": "html", "java": "java", "javascript": "javascript", "js": "javascript", "json": "json", "py": "python",
    "python": "python", "r": "r", "rust": "rust", "sql": "sql", "toml": "toml", "ts": "typescript", "typescript": "typescript",
    "xml": "xml", "yaml": "yaml", "yml": "yaml",
}  # fmt: skip
_PREFIX = "hl-"
_CODE_CLASSES = {f"{_PREFIX}{short}" for short in STANDARD_TYPES.values() if short}
_TAGS = {
    "p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "h3", "h4", "h5", "h6",
    "table", "thead", "tbody", "tr", "th", "td", "div", "span",
} | set(MATHML)  # fmt: skip
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}} | MATHML
_CLASSES = {"div": {"formula", "tablescroll"}, "code": {"formula__source"}, "span": _CODE_CLASSES}


def markdown_html(text: str) -> str:
    """Markdown as safe HTML. Headings start at the third level, below the page's own."""
    if len(text) > LONGEST_MARKDOWN:
        return f"<pre>{escape(text)}</pre>"
    return _remembered(text) if len(text) <= LONGEST_REMEMBERED else _html(text)


def _html(text: str) -> str:
    tokens = _PARSER.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
    env: dict[str, Any] = {"formulas": 0}
    return nh3.clean(
        _PARSER.renderer.render(tokens, _PARSER.options, env),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


_remembered = lru_cache(maxsize=256)(_html)


def _formula(_renderer: RendererHTML, tokens: Sequence[Token], number: int, _options: Any, env: dict[str, Any]) -> str:
    token = tokens[number]
    env["formulas"] += 1
    try:
        if env["formulas"] > MOST_FORMULAS:
            raise NotAFormula("too many")
        shown = mathml(token.content.strip(), display=token.meta["display"])
    except NotAFormula:
        closing = {"\\(": "\\)", "\\[": "\\]"}.get(token.markup, token.markup)
        shown = f'<code class="formula__source">{escape(token.markup + token.content + closing)}</code>'
    return f'<div class="formula">{shown}</div>' if token.block else shown


def _coloured(code: str, language: str, _attributes: str) -> str:
    name = LEXERS.get(language.lower())
    if name is None or len(code) > LONGEST_CODE:
        inside = escape(code)
    else:
        inside = highlight(code, get_lexer_by_name(name, stripnl=False), HtmlFormatter(nowrap=True, classprefix=_PREFIX))
    return f"<pre><code>{inside}</code></pre>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "highlight": _coloured})
    parser.enable(["table", "strikethrough"]).disable("image").use(formulas)
    parser.add_render_rule("formula", _formula)
    parser.add_render_rule("formula_block", _formula)
    parser.add_render_rule("table_open", lambda *_: '<div class="tablescroll"><table>')
    parser.add_render_rule("table_close", lambda *_: "</table></div>")
    return parser


_PARSER = _parser()
