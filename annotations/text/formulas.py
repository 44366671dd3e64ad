"""LaTeX formulas as MathML. What comes out holds presentation elements only, and every text in it is escaped.

latex2mathml's own serialisation writes `\\text{<b>}` as HTML and `\\href` as a link, so its tree is written out here instead.
"""

from functools import lru_cache
from html import escape, unescape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

LONGEST_FORMULA = 2_000
DEEPEST = 60
_SHARED = {"mathvariant", "displaystyle", "scriptlevel"}
_SIZES = {"width", "height", "depth", "lspace", "rspace", "voffset"}
# Elements of MathML Core that show something, each with attributes that only say how.
MATHML: dict[str, set[str]] = {
    "math": {"display"},
    "mi": _SHARED,
    "mn": _SHARED,
    "mtext": _SHARED,
    "mo": _SHARED
    | {"fence", "form", "largeop", "lspace", "maxsize", "minsize", "movablelimits", "rspace", "stretchy", "symmetric"},
    "mspace": _SIZES | {"linebreak"},
    "mrow": _SHARED,
    "mstyle": _SHARED,
    "mpadded": _SIZES,
    "mphantom": set(),
    "mfrac": _SHARED | {"linethickness"},
    "msqrt": set(),
    "mroot": set(),
    "menclose": {"notation"},
    "msub": set(),
    "msup": set(),
    "msubsup": set(),
    "munder": {"accentunder"},
    "mover": {"accent"},
    "munderover": {"accent", "accentunder"},
    "mmultiscripts": set(),
    "mprescripts": set(),
    "mtable": {"displaystyle", "rowspacing", "columnspacing", "columnalign", "columnlines", "rowlines", "frame"},
    "mtr": set(),
    "mtd": {"columnalign", "columnspan", "rowspan"},
}


class NotAFormula(ValueError):  # noqa: N818 - reads as what it is
    """The source cannot be set as a formula."""


@lru_cache(maxsize=1024)
def mathml(latex: str, *, display: bool) -> str:
    """A formula as `<math>`. Raises NotAFormula for what is no LaTeX, or too much of it."""
    if not latex.strip() or len(latex) > LONGEST_FORMULA:
        raise NotAFormula("empty or too long")
    try:
        tree = convert_to_element(latex, display="block" if display else "inline")
    except Exception as error:  # it raises a dozen kinds, of Python's own too, and all say the same: this is no LaTeX
        raise NotAFormula(str(error)) from error
    return _written(tree, 0)


def _written(element: Element, depth: int) -> str:
    allowed = MATHML.get(element.tag)
    text = unescape(element.text or "")
    if allowed is None or depth > DEEPEST or text.startswith("\\"):  # the last: a command that it does not know
        raise NotAFormula(f"holds <{element.tag}>")
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in element.attrib.items() if name in allowed)
    inside = "".join(_written(child, depth + 1) for child in element)
    return f"<{element.tag}{attributes}>{escape(text)}{inside}</{element.tag}>"
