"""Content types by filename extension: our own table, so that the result is the same on every machine."""

from __future__ import annotations

from emulator.core.lazy_pattern import lazy_pattern

UNKNOWN = "application/octet-stream"
_MEDIA_TYPE = lazy_pattern(r"[!#$&^_.+0-9a-z-]{1,127}/[!#$&^_.+0-9a-z-]{1,127}")  # RFC 6838 §4.2

_OFFICE = ("application/vnd.openxmlformats-", "application/vnd.ms-", "application/msword", "application/vnd.oasis.")

BY_EXTENSION: dict[str, str] = {
    "txt": "text/plain", "text": "text/plain", "log": "text/plain", "md": "text/markdown", "markdown": "text/markdown",
    "rst": "text/x-rst", "csv": "text/csv", "tsv": "text/tab-separated-values", "html": "text/html", "htm": "text/html",
    "css": "text/css", "xml": "application/xml", "json": "application/json", "jsonl": "application/jsonl",
    "ndjson": "application/x-ndjson", "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml",
    "ini": "text/plain", "js": "text/javascript", "mjs": "text/javascript", "ts": "text/x-typescript",
    "tsx": "text/x-typescript", "jsx": "text/javascript", "py": "text/x-python", "java": "text/x-java",
    "kt": "text/x-kotlin", "c": "text/x-c", "h": "text/x-c", "cc": "text/x-c++", "cpp": "text/x-c++",
    "hpp": "text/x-c++", "cs": "text/x-csharp", "go": "text/x-go", "rs": "text/x-rust", "rb": "text/x-ruby",
    "php": "text/x-php", "swift": "text/x-swift", "scala": "text/x-scala", "sh": "application/x-sh",
    "bash": "application/x-sh", "sql": "application/sql", "tex": "text/x-tex", "eml": "message/rfc822",
    "pdf": "application/pdf", "rtf": "application/rtf", "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "ipynb": "application/vnd.jupyter", "msg": "application/vnd.ms-outlook",
    "odt": "application/vnd.oasis.opendocument.text", "epub": "application/epub+zip",
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "svg": "image/svg+xml", "mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm",
    "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "zip": "application/zip", "gz": "application/gzip",
}  # fmt: skip


def extension(filename: str) -> str:
    """Return the lower-case extension of a filename, without the dot; empty if there is none."""
    _, dot, ending = filename.rpartition(".")
    return ending.lower() if dot else ""


def of_filename(filename: str) -> str:
    """Return the content type for a filename's extension."""
    return BY_EXTENSION.get(extension(filename), UNKNOWN)


def choose(declared: str | None, filename: str) -> str:
    """Return the content type of an upload: the declared one, else the one of its extension.

    `application/octet-stream` only means "bytes" (curl and many SDKs send it for unknown types), so a known extension
    overrides it. An invalid media type is ignored.
    """
    essence = (declared or "").partition(";")[0].strip().lower()
    return essence if _MEDIA_TYPE.fullmatch(essence) and essence != UNKNOWN else of_filename(filename)


def sniffed(filename: str) -> str:
    """Return the content type that the live service gave an upload in April 2026, whatever was declared.

    Office files became `application/octet-stream`; text and PDF files kept the type of their extension.
    """
    found = of_filename(filename)
    return UNKNOWN if found.startswith(_OFFICE) else found
