"""Secrets that the site must be able to read again, such as the key of another server: encrypted in the database, with a key
that lies in the state folder and nowhere else. A copy of the database alone opens nothing.
"""

from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from accounts.key_files import key_file

KEY_FILE = "secrets_key"


class SecretLost(ValueError):  # noqa: N818 - reads as what happened
    """What was sealed cannot be opened with the keys that are there."""


def seal(secret: str) -> str:
    """The secret as it is stored. Raises SecretLost where the key file is damaged."""
    return _keys().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret in what `seal` made. Raises SecretLost where the key is another one."""
    try:
        return _keys().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SecretLost(
            f"A stored secret cannot be read: {KEY_FILE} in the state folder is not the one that it was stored with. "
            "Put that file back, or give the secret again."
        ) from error


def _keys() -> MultiFernet:
    """One key a line. The first one seals; each opens, so that a new key can be put in front of an old one."""
    try:
        keys = key_file(Path(settings.RLWHF_HOME) / KEY_FILE, lambda: Fernet.generate_key().decode())
        return MultiFernet([Fernet(line) for line in keys.split()])
    except ValueError as error:  # says nothing of the keys
        raise SecretLost(
            f"{KEY_FILE} in the state folder is damaged: it holds one key a line. Put it back from a backup."
        ) from error
