"""What every page knows about how it should look to this person."""

from django.http import HttpRequest

from accounts.theme import chosen_theme


def theme(request: HttpRequest) -> dict[str, str]:
    """`theme`: "light", "dark", or empty for what the system prefers."""
    return {"theme": chosen_theme(request)}
