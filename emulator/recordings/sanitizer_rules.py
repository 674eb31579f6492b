"""The rules of the sanitizer, each of which can be turned off."""

from __future__ import annotations

# The names of the rules, for --keep, and what each does.
RULES: dict[str, str] = {
    "keys": "API keys, wherever they stand, and fields and headers that hold secrets",
    "shown-keys": "the ends of keys that the service shows, as in redacted_api_key",
    "cookies": "the values of cookies",
    "ids": "UUIDs with and without a prefix, and hashes: numbered",
    "tokens": "page tokens, and the tokens of public URLs: numbered, of the same length",
    "people": "email addresses, and the names that describe a key's owner",
    "places": "IP addresses, and the headers in which proxies name them",
    "urls": "the signatures of signed URLs",
    "trace": "the digits of request and trace ids in headers",
    "contents": "base64 of files and data URLs: zeros of the same length",
    "texts": "search queries, chunk texts, prompts and answers: filler of the same length",
    "paths": "home directories",
}
