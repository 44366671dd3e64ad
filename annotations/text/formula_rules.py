r"""Where formulas stand in Markdown: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` on their own.

A dollar is also money. So a formula's first dollar is followed, and its last preceded, by something other than white space, the
last is not followed by a digit or letter, and what begins with a digit is no formula if there are words in it.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from annotations.text.formulas import LONGEST_FORMULA

MOST_LINES = 60
_SENTENCE = re.compile(r"\d.*\s[A-Za-z]{2,}", re.DOTALL)
_INLINE = {"$$": ("$$", True), r"\(": (r"\)", False), r"\[": (r"\]", True), "$": ("$", False)}
_BLOCK = {"$$": "$$", r"\[": r"\]"}


def formulas(markdown: MarkdownIt) -> None:
    """Adds tokens `formula` (in a line) and `formula_block`; `meta["display"]` says which, `content` is the LaTeX."""
    markdown.inline.ruler.before("escape", "formula", _inline)
    markdown.block.ruler.before("fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def _inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    opening = next((one for one in _INLINE if state.src.startswith(one, state.pos)), None)
    if opening is None:
        return False
    closing, display = _INLINE[opening]
    start = state.pos + len(opening)
    end = _dollar_end(state, start) if opening == "$" else _end(state, start, closing)
    if end is None:
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content = state.src[start:end]
        token.markup = opening
        token.meta = {"display": display}
    state.pos = end + len(closing)
    return True


def _end(state: StateInline, start: int, closing: str) -> int | None:
    end = state.src.find(closing, start, min(state.posMax, start + LONGEST_FORMULA))
    return end if end > start and state.src[start:end].strip() else None


def _dollar_end(state: StateInline, start: int) -> int | None:
    source, limit = state.src, min(state.posMax, start + LONGEST_FORMULA)
    before = source[start - 2] if start > 1 else ""
    if start >= limit or source[start].isspace() or source[start] == "$" or before.isalnum():
        return None
    end = start
    while (end := source.find("$", end, limit)) != -1:
        after = source[end + 1] if end + 1 < state.posMax else ""
        if source[end - 1] == "\\":
            end += 1
            continue
        if source[end - 1].isspace() or after.isalnum() or after == "$" or _SENTENCE.match(source[start:end]):
            return None
        return end
    return None


def _block(state: StateBlock, line: int, last: int, silent: bool) -> bool:
    first = _line(state, line)
    opening = next((one for one in _BLOCK if first.startswith(one)), None)
    if opening is None or state.is_code_block(line):
        return False
    lines = _lines(state, line, last, opening)
    latex = "\n".join(lines).strip()
    if not latex or _BLOCK[opening] in latex:
        return False
    if not silent:
        token = state.push("formula_block", "math", 0)
        token.block, token.content, token.markup, token.meta = True, latex, opening, {"display": True}
        token.map = [line, line + len(lines)]
        state.line = line + len(lines)
    return True


def _lines(state: StateBlock, line: int, last: int, opening: str) -> list[str]:
    """From the line that opens a formula to the one that closes it, without the signs; nothing where none closes it."""
    closing = _BLOCK[opening]
    found: list[str] = []
    for number in range(line, min(last, line + MOST_LINES)):
        text = _line(state, number).rstrip()
        if number == line:
            text = text[len(opening) :]
        elif not text or state.sCount[number] < state.blkIndent:
            break
        if text.endswith(closing):
            return [*found, text[: -len(closing)]]
        found.append(text)
    return []


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
