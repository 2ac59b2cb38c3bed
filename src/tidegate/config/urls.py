"""URLs that a file names (pure): what one may hold, and how much of it is shown.

A plan is kept in the journal, and what is said about a URL is shown to everybody: no secret may stand in either.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

__all__ = ["broken_url", "shown_url"]

_SECRET = re.compile(
    r"(?:^|[-_.]|api|access|auth)(?:token|secret|passw(?:or)?d|pwd|key|auth|sig|signature)$", re.IGNORECASE
)
_HINT = 'name where the secret is: token_env = "…" or token_file = "…"; it is sent as a bearer token'


def broken_url(url: str) -> tuple[str, str] | None:
    """Return what is wrong with a URL, and the hint; ``None``: nothing. Neither shows a secret."""
    what = "is no URL" if set("@?#") & set(url) else f'"{url}" is no URL'
    none = what, "it begins with https:// or http://, and a host follows"
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
            return none
        names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    except ValueError:
        return none
    if "@" in parts.netloc:
        return "holds a user or a password", _HINT
    if secret := next(filter(_SECRET.search, names), None):
        return f'holds a secret in its query ("{secret}")', _HINT
    return None


def shown_url(url: str) -> str:
    """Return the URL without user, password, query and fragment."""
    scheme, _, rest = re.split("[?#]", url, maxsplit=1)[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
