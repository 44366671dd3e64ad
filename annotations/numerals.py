"""Numbers in one writing, each of them one word: so that “5” is found in “5.0” and not in “5,000”, “3.5” or “-5”.

Commas (and narrow or plain spaces) between groups of three digits, points between several such groups, and “thousand”,
“million” … behind a number are of one number: “1,5” and “1.5” are one and a half, “1,500,000” and “1.5 million” are the same. A
single point is a decimal one: “1.914” is not 1914, as it would be in Portuguese. Dates, and what else is written with points,
stay in their parts.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_SCALES = {
    "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "mil": 3, "milhão": 6, "milhões": 6, "bilhão": 9, "bilhões": 9,
    "trilhão": 12, "trilhões": 12,
}  # fmt: skip
_NUMBER = re.compile(
    r"""
    (?<![\w.,:/⁄])                                          # not within a word, a date, a time
    (?P<minus>[-−](?=\.?\d)|(?:minus|negative)\s+(?=\d))?
    (?P<digits>\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3}(?!\d))+(?:\.\d+)?|\d[\d.,:/⁄]*+|\.\d++)
    (?P<unit>[^\W\d_]*+)(?!\w)
    (?:\s+(?P<scale>thousand|million|billion|trillion|mil|milhão|milhões|bilhão|bilhões|trilhão|trilhões)\b)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_GROUPED = re.compile(r"(?P<whole>\d{1,3}(?:,\d{3})+)(?:\.(?P<part>\d+))?|(?P<points>\d{1,3}(?:\.\d{3}){2,})(?:,(?P<after>\d+))?")
_DECIMAL = re.compile(r"(?P<whole>\d*)(?:\.(?P<part>\d+)|,(?P<comma>\d{1,2}))?")
_SPACES = re.compile(r"[ \u00a0\u202f\u2009]")
_TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_FRACTION = re.compile(r"\d{1,2}[/⁄]\d{1,2}")


def in_one_writing(text: str) -> str:
    """The text in compatible characters (NFKC), each number in it one word of letters and digits, the same for all writings of
    the number.
    """
    plain = unicodedata.normalize("NFKC", text)
    return _NUMBER.sub(_written, plain) if _DIGIT.search(plain) else plain


def _written(match: re.Match[str]) -> str:
    digits = _SPACES.sub("", match["digits"])
    # A full stop or a comma behind the number is the sentence's.
    number = digits.rstrip(".,:/⁄")
    behind = digits[len(number) :] + match["unit"]
    scale = None if behind else match["scale"]
    value = _value(number)
    if value is None:
        written = (match["minus"] or "") + _kept(number)
    else:
        written = ("minus" if match["minus"] else "") + _word(value * 10 ** _SCALES[scale.lower()] if scale else value)
        if scale:
            return written
    return written + behind + (f" {match['scale']}" if match["scale"] else "")


def _value(digits: str) -> Decimal | None:
    """None where the digits are no number, such as a date, or one whose leading zero counts."""
    if grouped := _GROUPED.fullmatch(digits):
        whole = (grouped["whole"] or grouped["points"]).replace(",", "").replace(".", "")
        part = grouped["part"] or grouped["after"]
    elif decimal := _DECIMAL.fullmatch(digits):
        whole, part = decimal["whole"], decimal["part"] or decimal["comma"]
    else:
        return None
    if len(whole) > 1 and whole.startswith("0"):
        return None
    return Decimal(f"{whole or 0}.{part or 0}")


def _word(value: Decimal) -> str:
    """“1500000”, or with a part “3point5”."""
    written = f"{value:f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written).replace(".", "point")


def _kept(digits: str) -> str:
    """A time or a fraction is one thing; of anything else the parts stay apart."""
    if _TIME.fullmatch(digits):
        return digits.replace(":", "h")
    return re.sub(r"[/⁄]", "over", digits) if _FRACTION.fullmatch(digits) else digits
