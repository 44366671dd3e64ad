"""Words that people typed, put before a sentence of the site's own. Knows no Django."""

# “…” is where a longer text was cut off; a quotation or a bracket may close after the mark.
_ENDS = (".", "!", "?", "…", ":")
_CLOSING = "”’\"')]»"


def ended(text: str) -> str:
    """The text as a sentence that another may follow: with a full stop, unless it ends already. Nothing stays nothing."""
    text = text.strip()
    return text if not text or text.rstrip(_CLOSING).endswith(_ENDS) else f"{text}."
