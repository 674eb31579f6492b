"""Patterns of secrets in texts."""

from __future__ import annotations

import re

# Every pattern takes linear time: none looks ahead from each position through a run of unbounded length.
UUID = re.compile(
    r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![0-9a-fA-F])"
)
PREFIX = re.compile(r"(?:[A-Za-z]{1,32}_){1,4}$")
PREFIX_CHARS_MAX = 64
HEX = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{32}(?:[0-9a-f]{8}|[0-9a-f]{32})?|[0-9A-F]{32}(?:[0-9A-F]{8}|[0-9A-F]{32})?)(?![0-9A-Za-z])"
)
EMAIL = re.compile(r"[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
IPV4 = re.compile(r"(?<![A-Za-z0-9.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{0,45}:[0-9A-Fa-f.]{0,15}(?![\w:])")
BEARER_WORDS = re.compile(r"(?i)(bearer (?:tokens?|keys?|authentication|credentials|auth)\b)")
JWT = re.compile(r"(?<![\w-])eyJ[\w-]{8,4096}\.eyJ[\w-]{4,8192}\.[\w-]{8,4096}")
USER_OF_URL = re.compile(r"(://)[^\s/?#@\"'<>]{1,256}@")
PLACE_SAID = re.compile(
    r"(?i)((?<![\w-])(?:cf-(?:ip|connecting|region|postal|time|metro)[\w-]{0,32}|x-forwarded-[\w-]{1,32}|x-real-ip)"
    r"[\"'`\s]{0,3}[:=][\s\"'`]{0,3})[^\s\"'`,;<>][^\"'`,;<>\r\n]{0,256}"
)
SHOWN_KEY = re.compile(r"(?<!\w)(\w{2})\*{3}(\w{2})(?!\w)|(?<!\w)(xai-(?:token-)?\.{3})(\w{4})(?!\w)")
SIGNED = re.compile(
    r"(?i)([?&](?:sig|signature|x-amz-[\w-]+|x-goog-[\w-]+|se|sv|skoid|token|expires|access_token|key)=)[^&\s\"'<>#]+"
)
DATA_URL = re.compile(r"(data:[\w.+/;=-]*;base64,)([A-Za-z0-9+/_=-]+)")
HOME = re.compile(r"(?:/(?:home|Users)/[^/\s\"'\\:]+|/root(?=/)|[A-Za-z]:\\+Users\\+[^\\\s\"']+)")
