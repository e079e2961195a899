"""What may be shown of the address of a store, or of data: never what opens it."""

import re

ADDRESS = re.compile(r"[A-Za-z][\w+.-]*://[^\s\"'<>]*")
HIDDEN = "***"
HARMLESS = frozenset(
    {
        "application_name",
        "cache",
        "charset",
        "check_same_thread",
        "connect_timeout",
        "driver",
        "mode",
        "sslmode",
        "timeout",
        "uri",
    }
)
"""Entries of the query of a database's address that hold no secret."""
NAMED = re.compile(
    r"(?i)(\b(?:pwd|passw(?:or)?d|passwd|token|secret|api_?key|access_?key|sig(?:nature)?|credential)\s*[=:]\s*)"
    r"(?!\*)(\{[^}]*\}|\"[^\"]*\"|'[^']*'|[^\s;&,)\"']+)"
)
"""A secret by its name, as in an ODBC connection or in an error."""


def shown(address: str) -> str:
    """An address without user, password, token or key.

    What is in front of the last `@` is hidden whole, since a token may be there alone, and the values of the query are,
    but for those known to be harmless. The part after `#` is the page's own.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    if "@" in rest:
        rest = f"{HIDDEN}@{rest.rpartition('@')[2]}"
    place, question, query = rest.partition("?")
    if not question or "#" in place:
        return f"{scheme}://{rest}"
    query, hash_, page = query.partition("#")
    return f"{scheme}://{place}?{_query(query)}{hash_}{page}"


def _query(query: str) -> str:
    shown_entries = []
    for entry in query.split("&"):
        name, equals, _ = entry.partition("=")
        shown_entries.append(entry if equals and name in HARMLESS else f"{name}={HIDDEN}" if equals else HIDDEN)
    return "&".join(shown_entries)


def redacted(text: str) -> str:
    """A text in which no address shows more than `shown` lets it, and no secret stands after its name."""
    if "://" not in text and "=" not in text and ":" not in text:
        return text
    text = re.sub(r"(://)\S*@", rf"\1{HIDDEN}@", text) if "@" in text else text
    return NAMED.sub(rf"\1{HIDDEN}", ADDRESS.sub(lambda found: shown(found[0]), text))
