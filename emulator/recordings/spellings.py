"""All encodings of a secret, to redact it independently of the rules."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus


def spellings(secret: str) -> list[str]:
    """Return the encodings of a text in JSON: plain, percent-encoded, and in base64 at each of three offsets."""
    found = [json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1]]
    for encode in (quote, quote_plus):
        upper = encode(secret, safe="")
        found += [upper, re.sub(r"%[0-9A-F]{2}", lambda digits: digits[0].lower(), upper)]
    raw = secret.encode()
    for offset in range(3):
        # Without the digits at both ends, which depend on the neighbouring bytes.
        encoded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        core = encoded[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
        found += [core, core.replace("+", "-").replace("/", "_")]
    return list(dict.fromkeys(each for each in found if len(each) >= min(len(secret), 6)))
