"""What looks like a secret, so that none gets into a file, a log or an error: keys belong in the environment alone.

A guess, made to be wrong on the careful side. Whoever finds one says where it stands and never what it is.
"""

from __future__ import annotations

import re

KNOWN = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{8,}"  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"|(?:hf_|gsk_|xai-|r8_|nvapi-|pplx-|csk-|fw_|ghp_|github_pat_|glpat-)[A-Za-z0-9_-]{12,}"
    r"|AIza[A-Za-z0-9_-]{20,}|AKIA[A-Z0-9]{12,}"
    r"|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"  # a JSON web token
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/-]{12,}=*"
    r")"
)
IN_ADDRESS = re.compile(
    r"://[^/\s\"'@]+@|[?&](?:api[_-]?key|key|token|access_token)=[^&\s\"']", re.I
)  # user:password@, ?key=
NAME = re.compile(r"[A-Z_][A-Z0-9_]*|[a-z_][a-z0-9_]*")
LONGEST_NAME, LONGEST_WORD, MOST_DIGITS = 64, 24, 6


def holds_key(text: str) -> bool:
    """Whether a text contains what looks like a key, or an address with a password in it."""
    return bool(KNOWN.search(text) or IN_ADDRESS.search(text))


def is_variable_name(text: str) -> bool:
    """Whether this can be the name of an environment variable and does not look like a key put in its place."""
    if not NAME.fullmatch(text) or len(text) > LONGEST_NAME or holds_key(text):
        return False
    words = text.split("_")
    return max(map(len, words)) <= LONGEST_WORD and sum(c.isdigit() for c in text) <= MOST_DIGITS
