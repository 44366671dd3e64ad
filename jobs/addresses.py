"""Numbers as they stand in addresses."""

# More digits than any key has; Python refuses to read thousands of them.
DIGITS_AT_MOST = 9


def number_in(text: str) -> int | None:
    """The number that a text is; None where it is none, or larger than any key."""
    return int(text) if text.isdecimal() and len(text) <= DIGITS_AT_MOST else None


def numbers_in(text: str) -> list[int]:
    """The numbers between commas; what is none is left out."""
    return [number for part in text.split(",") if (number := number_in(part.strip())) is not None]
