"""What an answer does with its question: gives an answer, gives one with doubt, or gives none.

Told by its words alone, clause by clause: what is quoted is not the speaker's own; “nobody knows who built it, but it was
finished in 1211” answers when it was finished; “I don't know, maybe Paris” is a guess. The phrases are data, in English and in
Portuguese (`verdict_phrases.toml`, `verdict_phrases_pt.toml`); both are looked for in every answer. How often this is right is
measured on answers labelled by hand: `evaluation/abstention`.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import cache
from pathlib import Path

PHRASES_PATHS = tuple(Path(__file__).with_name(name) for name in ("verdict_phrases.toml", "verdict_phrases_pt.toml"))
# An answer of so few words that comes first is the answer, whatever else is said not to be known.
SHORT_WORDS = 3


class Stance(StrEnum):
    ABSTAINS = "abstains"
    HEDGES = "hedges"
    ANSWERS = "answers"


class _Kind(Enum):
    """What a clause does. An abstention is the speaker's own ("I don't know") or everybody's ("it is unknown")."""

    CLAIM = auto()
    ASIDE = auto()
    HEDGE = auto()
    DOUBT = auto()
    OWN_ABSTENTION = auto()
    ABSTENTION = auto()


@dataclass(frozen=True)
class _Clause:
    words: str
    kind: _Kind
    contrasts: bool
    """Whether it begins with “but” or the like."""
    asks: bool

    @property
    def length(self) -> int:
        return len(self.words.split())


class PhraseList:
    """One of the lists. Each phrase is filed under a word that it needs, so that few of them are tried on any clause."""

    def __init__(self, listed: Sequence[str]) -> None:
        self._by_word: defaultdict[str, list[re.Pattern[str]]] = defaultdict(list)
        for phrase in listed:
            pattern = re.compile(_compiled(phrase))
            for word in _needed(phrase):
                self._by_word[word].append(pattern)

    def _tried(self, words: str) -> Iterator[re.Pattern[str]]:
        for word in dict.fromkeys([*words.split(), _ANY]):
            yield from self._by_word.get(word, ())

    def stands_in(self, words: str) -> bool:
        return any(pattern.search(words) for pattern in self._tried(words))

    def count(self, words: str) -> int:
        """How many phrases stand in the words; those that overlap count once."""
        return self.without(words, mark=_MARK).split().count(_MARK)

    def without(self, words: str, *, mark: str = "") -> str:
        for pattern in self._tried(words):
            words = pattern.sub(f" {mark} ", words)
        return words


_LISTS = ("abstain", "nobody", "doubt", "hedge", "aside")
_ANY = ""
_MARK = "\N{BULLET}"


@dataclass(frozen=True)
class Phrases:
    """The phrase lists; a phrase is looked for in a clause in plain words (`plain_words`)."""

    abstain: PhraseList
    nobody: PhraseList
    doubt: PhraseList
    hedge: PhraseList
    aside: PhraseList
    dropped: re.Pattern[str]
    negate: tuple[str, ...]


_APOSTROPHES = re.compile("['’‘`´]")
_NOT_WORD = re.compile(r"[^\w]+|_")


def normalise(text: str) -> str:
    """Case-folded words with single spaces between; "Don't!" becomes "dont"."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_WORD.sub(" ", _APOSTROPHES.sub("", folded)).strip()


_CONTRACTIONS = (
    (re.compile(r"\bca(?:n't|nt|n not)\b"), "cannot"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\b(do|does|did|could|would|should|is|are|was|were|have|has|had)n'?t\b"), r"\1 not"),
    (re.compile(r"\b(?:i'm|im)\b"), "i am"),
    (re.compile(r"\b(?:i've|ive)\b"), "i have"),
    (re.compile(r"\b(\w+)'d\b"), r"\1 would"),
    (re.compile(r"\b(\w+)'ll\b"), r"\1 will"),
    (re.compile(r"\b(\w+)'re\b"), r"\1 are"),
    (re.compile(r"\b(\w+)'ve\b"), r"\1 have"),
    (re.compile(r"\b(it|that|there|he|she|what|who|where)'s\b"), r"\1 is"),
    (re.compile(r"\b(?:i )?dunno\b"), "i do not know"),
    (re.compile(r"\bidk\b"), "i do not know"),
)
# Most texts have none.
_CONTRACTED = re.compile(
    r"'|\b(?:can(?:t| not)|(?:do|does|did|could|would|should|is|are|was|were|have|has|had)nt|im|ive|dunno|idk)\b"
)


def without_accents(text: str) -> str:
    """The text without the marks over and under its letters: “não” is often written “nao”."""
    return (
        text if text.isascii() else "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))
    )


def plain_words(text: str) -> str:
    """Like `normalise`, without accents, with contractions written out and words that change nothing ("really", "honestly") left
    out.
    """
    return _plain(_written_out(text))


def _written_out(text: str) -> str:
    said = _APOSTROPHES.sub("'", unicodedata.normalize("NFKC", text).casefold())
    if not _CONTRACTED.search(said):
        return said
    for pattern, written_out in _CONTRACTIONS:
        said = pattern.sub(written_out, said)
    return said


def _plain(said: str) -> str:
    return " ".join(phrases().dropped.sub(" ", without_accents(normalise(said))).split())


@cache
def phrases(paths: tuple[Path, ...] = PHRASES_PATHS) -> Phrases:
    """The phrase lists at `paths` as one, compiled once."""
    files = [tomllib.loads(path.read_text(encoding="utf-8")) for path in paths]
    lists = {name: [phrase for lists in files for phrase in lists[name]] for name in (*_LISTS, "dropped", "negate")}
    found = {name: PhraseList([without_accents(phrase) for phrase in lists[name]]) for name in _LISTS}
    dropped = re.compile("|".join(rf"\b(?:{without_accents(one)})\b" for one in lists["dropped"]))
    return Phrases(**found, dropped=dropped, negate=tuple(normalise(phrase) for phrase in lists["negate"]))


def _compiled(phrase: str) -> str:
    """A phrase of the lists as a regular expression: `…` is a gap of up to four words, `(a|b)` a choice, `(!a|b)` what must not
    follow, `^` and `$` the ends of a clause."""
    start, end = phrase.startswith("^"), phrase.endswith("$")
    inner = phrase.removeprefix("^").removesuffix("$").replace("… ", r"(?:\w+ ){0,4}").replace(" (!", r"(?! (?:")
    inner = re.sub(r"(\(\?! \(\?:[^)]*)\)", r"\1)\\b)", inner)
    return (r"^" if start else r"\b") + f"(?:{inner})" + (r"$" if end else r"\b")


_TOKENS = re.compile(r"\(!?|\)\??|\||[^\s()|]+")


def _needed(phrase: str) -> list[str]:
    """Words of which a text needs one to hold the phrase: the longest that there are, of a choice one of each alternative."""
    needed, _ = _read(iter(_TOKENS.findall(phrase)))
    return needed or [_ANY]


def _read(tokens: Iterator[str]) -> tuple[list[str], bool]:
    """What is needed up to the closing bracket, or nothing; and whether that may be left out."""
    alternatives: list[list[list[str]]] = [[]]
    optional = False
    for token in tokens:
        if token.startswith(")"):
            optional = token == ")?"
            break
        if token.startswith("("):
            inner, may_lack = _read(tokens)
            alternatives[-1] += [inner] if inner and token == "(" and not may_lack else []
        elif token == "|":
            alternatives.append([])
        elif token.strip("^$").isalpha():
            alternatives[-1].append([token.strip("^$")])
    best = [max(one, key=lambda words: min(map(len, words)), default=[]) for one in alternatives]
    return ([word for words in best for word in words] if all(best) else []), optional


def stance(answer: str) -> Stance:
    """What the answer does. One without a word in it answers nothing, and counts as an answer: there is nothing to judge."""
    return _of(list(_clauses(answer)))


def doubts(answer: str) -> int:
    """How many phrases of doubt the answer holds, its own and not quoted ones."""
    lists = phrases()
    return sum(lists.doubt.count(one.words) + lists.hedge.count(lists.doubt.without(one.words)) for one in _clauses(answer))


def _of(clauses: list[_Clause]) -> Stance:
    at = next((n for n, one in enumerate(clauses) if one.kind in _ABSTENTIONS), None)
    if at is None:
        return _without_abstention(clauses)
    before, after = clauses[:at], clauses[at + 1 :]
    if any(one.kind is _Kind.HEDGE for one in clauses):
        return Stance.HEDGES
    claimed = any(one.kind is _Kind.CLAIM for one in before)
    if clauses[at].kind is _Kind.OWN_ABSTENTION:
        if claimed:  # an answer first, or only what is known around the question
            return Stance.ANSWERS if before[0].kind is _Kind.CLAIM and before[0].length <= SHORT_WORDS else Stance.ABSTAINS
        guessed = any(one.kind is _Kind.CLAIM and (one.contrasts or one.asks) for one in after)
        return Stance.HEDGES if guessed else Stance.ABSTAINS
    # What nobody knows is beside the question where something else is answered.
    answered = claimed or any(one.kind is _Kind.CLAIM and one.contrasts for one in after)
    return Stance.ANSWERS if answered else Stance.ABSTAINS


_ABSTENTIONS = (_Kind.OWN_ABSTENTION, _Kind.ABSTENTION)


def _without_abstention(clauses: list[_Clause]) -> Stance:
    kinds = {one.kind for one in clauses}
    if not kinds & {_Kind.HEDGE, _Kind.DOUBT}:
        return Stance.ANSWERS
    # Doubt with nothing claimed ("I'm not sure.") is an abstention.
    return Stance.HEDGES if kinds & {_Kind.HEDGE, _Kind.CLAIM} and _claims(clauses) else Stance.ABSTAINS


def _claims(clauses: list[_Clause]) -> bool:
    return any(
        one.kind is _Kind.CLAIM or (one.kind is _Kind.HEDGE and not _is_filler(phrases().hedge.without(one.words)))
        for one in clauses
    )


_QUOTED = re.compile(r"“[^”]*”|„[^“”]*[“”]|«[^»]*»|\"[^\"]*\"")
_MARKUP = re.compile(r"</?\w+>|[*_#]{1,3}")
_ASIDES = re.compile(
    r",\s*(?:however|though|unfortunately|sadly|of course|in fact|I'm afraid|I am afraid|porém|no entanto|contudo|todavia"
    r"|entretanto|infelizmente|lamentavelmente|na verdade|claro),",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=[.!?;:])\s+|[\n()]+|\s[–—-]+\s|—")
_PARTS = re.compile(
    r",\s+|\s+(?=(?:but|although|though|because|unless|whereas|mas|embora|porém|porque|apesar de|ainda que)\b)", re.IGNORECASE
)
_JOINING = re.compile(
    r"^(?:(?:and|so|or|therefore|thus|hence|then|well|as(?! far)|since|that|e|ou|entao|portanto|logo|pois|por isso) )+(?=\w)"
)
_CONTRAST = re.compile(
    r"^(?:but|although|though|whereas|mas|embora|porem|contudo|todavia|entretanto|no entanto|apesar de|ainda que) "
)


def _own_words(answer: str) -> str:
    """Without what is quoted, unless all of it is."""
    own = _QUOTED.sub(" quoted ", answer)
    return own if normalise(own).replace("quoted", "").strip() else answer


def _clauses(answer: str) -> Iterator[_Clause]:
    own = _written_out(_ASIDES.sub("", _MARKUP.sub(" ", _own_words(answer))))
    for sentence in _SENTENCES.split(own):
        asks = sentence.rstrip().endswith("?")
        for part in _PARTS.split(sentence):
            words = _plain(part)
            contrasts = _CONTRAST.match(words) is not None
            words = _JOINING.sub("", _CONTRAST.sub("", words))
            if words:
                yield _Clause(words, _kind(words), contrasts, asks)


def _kind(words: str) -> _Kind:
    lists = phrases()
    for kind, listed in (
        (_Kind.OWN_ABSTENTION, lists.abstain),
        (_Kind.ABSTENTION, lists.nobody),
        (_Kind.DOUBT, lists.doubt),
        (_Kind.HEDGE, lists.hedge),
        (_Kind.ASIDE, lists.aside),
    ):
        if listed.stands_in(words):
            return kind
    return _Kind.ASIDE if _is_filler(words) else _Kind.CLAIM


def _is_filler(words: str) -> bool:
    return all(word in _FILLER for word in words.split())


_FILLER_WORDS = """
    i am sorry but that this it is the a an answer to about and so sure of hmm well oh lol mate tbh thanks afraid
    desculpe desculpa sinto obrigado obrigada eu isso isto o e que de do da disso sobre resposta bom ora ah hum
"""
_FILLER = frozenset(_FILLER_WORDS.split())
