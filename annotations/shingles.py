"""Texts as runs of words, by which texts that are nearly the same are found. Light: it knows no library."""

from __future__ import annotations

import re

SHINGLE = 3
WORD = re.compile(r"\w+")


def plain_words(text: str) -> str:
    """Words alone, in small letters, a space between."""
    return " ".join(WORD.findall(text.casefold()))


def shingles(text: str) -> list[str]:
    """Every run of three words, without case and punctuation; of a shorter text, the text."""
    words = WORD.findall(text.casefold())
    return [" ".join(words[place : place + SHINGLE]) for place in range(max(1, len(words) - SHINGLE + 1))]
