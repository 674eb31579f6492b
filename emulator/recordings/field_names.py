"""Names of headers and fields whose values are removed from recordings."""

from __future__ import annotations

import re

TOKEN_NAMES = frozenset({"paginationtoken", "nextpagetoken", "pagetoken", "nexttoken", "nextcursor", "uploadid"})
KEY_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key"})
COOKIE_HEADERS = frozenset({"cookie", "set-cookie"})
PLACE_HEADERS = re.compile(
    r"(?i)cf-(?!ray$)[\w-]+|x-forwarded-[\w-]+|x-real-ip|via|forwarded|true-client-ip|x-client-ip"
)
NAMES_OF_HOSTS = frozenset({"x-forwarded-host", "x-forwarded-server", "x-forwarded-proto", "x-forwarded-port"})
TRACE_HEADERS = re.compile(
    r"(?i)traceparent|tracestate|baggage|cf-ray|x-(?:client-)?(?:request|trace|correlation)-id|x-b3-\w+"
)
PEOPLE_NAMES = frozenset(
    {
        *("name", "email", "given_name", "family_name", "first_name", "last_name", "display_name"),
        *("user_name", "username", "team_name"),
    }
)
# Free texts by the family of the operation: prompts and answers.
TEXT_NAMES: dict[str, frozenset[str]] = {
    "documents.search": frozenset({"query", "chunk_content", "chunkcontent", "instructions", "text", "content"}),
    "batches.": frozenset(
        {
            *("content", "text", "prompt", "instructions", "input", "arguments", "system", "user"),
            *("output_text", "output", "reasoning_content", "refusal", "summary", "encrypted_content"),
            *("image_url", "url"),
        }
    ),
}
CONTENT_NAMES = {"files.upload_chunks": frozenset({"chunk"})}
KEPT_URLS = ("/v1/",)  # of the requests in a batch, which are no free texts
