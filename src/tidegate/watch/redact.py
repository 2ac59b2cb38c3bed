"""What may be shown of a record: secrets are masked.

Bundles hold session ids, cookies and passwords (reference/logs.md §5). Names of users and addresses stay: an operator
needs them to find who storms, and the report never leaves the machine by itself.
"""

from __future__ import annotations

import re

__all__ = ["redacted"]

_SECRETS = re.compile(
    r"""(?P<name>
          (?:vmware[-_]soap[-_]session|vmware-api-session-id|JSESSIONID|session[-_ ]?(?:id|key|token)|sessionid
            |passw(?:or)?d|pwd|secret|api[-_]?key|(?:access|auth|refresh|bearer|saml)[-_]?token|x-csrf-token)
          ["']?\s*[:=]\s*["']?
      )[^\s"',;<>)]+""",
    re.VERBOSE | re.IGNORECASE,
)
# Headers hold anything up to the end of their line.
_HEADERS = re.compile(r"""(?P<name>\b(?:authorization|(?:set-)?cookie)["']?\s*[:=]\s*).+""", re.IGNORECASE)
# vim25 session keys: 52xxxxxx-xxxx-… Two of them in one line are a call's session and its user's.
_SESSION_KEY = re.compile(r"\b(52[0-9a-f]{6})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)
_MASK = "[hidden]"


def redacted(text: str) -> str:
    """Return ``text`` with secrets masked; the first eight digits of a session key stay, to tell sessions apart."""
    text = _HEADERS.sub(lambda match: match["name"] + _MASK, text)
    text = _SECRETS.sub(lambda match: match["name"] + _MASK, text)
    return _SESSION_KEY.sub(rf"\1-{_MASK}", text)
