"""Whether the database answers, said in one sentence where it does not."""

import os
from urllib.parse import urlsplit

import psycopg
from django.conf import settings

CONNECT_TIMEOUT_S = 5


def why_unreachable() -> str | None:
    """None where the database answers; else one sentence with what to do. Never shows a password."""
    try:
        psycopg.connect(settings.DATABASE_URL, connect_timeout=CONNECT_TIMEOUT_S).close()
    except (psycopg.Error, UnicodeError) as error:
        if os.environ.get("DATABASE_URL"):
            reason = (str(error).strip().splitlines() or ["no answer"])[0]
            return f"The database {without_password(settings.DATABASE_URL)} does not answer ({reason}): check DATABASE_URL."
        return (
            f"The site is not running on {settings.RLWHF_HOME}: start it with `make run` (or `rlwhf up`) in another "
            "terminal, then run this command again."
        )
    return None


def without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")).geturl()
