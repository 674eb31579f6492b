"""Remove secrets and personal data from exchanges before they are written.

A value is replaced by the same placeholder everywhere: if an id were replaced in a response but not in the next URL,
the recording could not be sent again. Only whole values of a known form are replaced, never parts of words. Texts are
also checked percent-decoded and base64-decoded. Finally the keys of the run are redacted in the finished entry, in
every encoding, which does not depend on any rule.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import msgspec
from msgspec import UNSET

from emulator.core.redaction import REDACTED
from emulator.pipeline.redact import is_secret_name, presented, redact_text
from emulator.recordings.entries import Content, Entry, Grpc, Pair, Param, PostData
from emulator.recordings.field_names import (
    CONTENT_NAMES,
    COOKIE_HEADERS,
    KEPT_URLS,
    KEY_HEADERS,
    NAMES_OF_HOSTS,
    PEOPLE_NAMES,
    PLACE_HEADERS,
    TEXT_NAMES,
    TOKEN_NAMES,
    TRACE_HEADERS,
)
from emulator.recordings.placeholders import NO_ADDRESS, Placeholders, base64_filler
from emulator.recordings.sanitizer_rules import RULES
from emulator.recordings.secret_patterns import (
    BEARER_WORDS,
    DATA_URL,
    EMAIL,
    HEX,
    HOME,
    IPV4,
    IPV6,
    JWT,
    PLACE_SAID,
    PREFIX,
    PREFIX_CHARS_MAX,
    SHOWN_KEY,
    SIGNED,
    USER_OF_URL,
    UUID,
)
from emulator.recordings.spellings import spellings

OTHER_KEY = "[other key]"
CONTENT_HASH = "_blake3"  # of bytes in a message, in the format of emulator.rpc.plain
_IS_LABEL = re.compile(r"\[[a-z ]+\]|")  # or no key at all
DEPTH_MAX = 2  # of encodings within encodings
REGISTERED_CHARS_MIN = 8  # a shorter text may be a common word, which would be replaced everywhere

_PERCENT = re.compile(r"[\w.~+%-]+")
_IS_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*+("|\\?$)', re.DOTALL)  # a truncated one extends to the end
_JSON_NAME_FOLLOWS = re.compile(r"\s*:")
_SEGMENT = re.compile(r"(?<=/)(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_-]{16,}(?=[/?#]|$)")

ENDS_OF_EMULATOR_KEY = ("xa***or", "ator")


class Sanitizer:
    """The enabled rules of one recording, and its placeholders."""

    def __init__(
        self, keys: Mapping[str, str] | None = None, strike: Sequence[str] = (), keep: Iterable[str] = ()
    ) -> None:
        """Replace each of `keys` by its label, and `strike` everywhere; `keep` names disabled rules."""
        self._rules = frozenset(RULES).difference(keep)
        self._keys = dict(keys or {})
        self._secrets = sorted(
            ((key, label) for key, label in self._keys.items() if presented(key)), key=lambda pair: -len(pair[0])
        )
        self._strike = tuple(sorted(filter(None, strike), key=len, reverse=True))
        # Names of headers and hosts are written in lower case, so the case does not count.
        self._struck_texts = re.compile("|".join(map(re.escape, self._strike)), re.IGNORECASE) if strike else None
        self._placeholders = Placeholders()
        self._registered: dict[str, str] = {}  # values that are replaced everywhere from now on
        self._echoed: dict[
            str, str
        ] = {}  # free texts, replaced only within their exchange, because they may be common words
        self.struck: Counter[str] = Counter()
        texts = [*self._secrets, *((text, REDACTED) for text in self._strike)]
        self._net = [(spelling, label) for text, label in texts for spelling in spellings(text)]
        self._operation = ""

    @property
    def rules(self) -> list[str]:
        """Return the names of the enabled rules."""
        return [name for name in RULES if name in self._rules]

    @property
    def replaced(self) -> Counter[str]:
        """Return how many different values have a placeholder, by kind."""
        return self._placeholders.counts

    # --- an exchange

    def encode(self, entry: Entry) -> bytes:
        """Sanitize an entry in place; return it as one line of JSON."""
        self.clean(entry)
        return self._through_net(msgspec.json.encode(entry).decode()).encode()

    def line(self, text: str) -> str:
        """Sanitize a text outside of the entries, such as the title of a page."""
        return self._through_net(self.text(text))

    def _through_net(self, text: str) -> str:
        """Redact keys and given texts in a text, in every encoding, also if the rules missed them."""
        for spelling, label in self._net:
            if spelling in text:
                self.struck["keys"] += text.count(spelling)
                text = text.replace(spelling, label)
        return text

    def clean(self, entry: Entry) -> None:
        """Sanitize an entry in place."""
        self._operation = entry.operation or ""
        self._echoed.clear()
        request, response = entry.request, entry.response
        self._learn([*request.headers, *response.headers])
        request.method = self.text(request.method)
        if request.body is not UNSET:
            self._post_data(request.body)  # first: the rest may repeat its values
        if entry.grpc is not UNSET:
            self._grpc(entry.grpc)
        request.url = self.url(request.url)
        request.query = [Pair(pair.name, self._named(pair.name, pair.value)) for pair in request.query]
        request.headers, response.headers = self._headers(request.headers), self._headers(response.headers)
        request.cookies, response.cookies = [], []
        self._content(response.body)
        response.status_text = self.text(response.status_text)
        response.redirect_url = self.url(response.redirect_url)
        if isinstance(entry.error, str):
            entry.error = self.text(entry.error)
        if isinstance(entry.page, str):
            entry.page = self.text(entry.page)

    def _post_data(self, body: PostData) -> None:
        body.mime_type = self.text(body.mime_type)
        if isinstance(body.digest, str):
            body.digest = self._placeholders.hex(body.digest)
        if body.text:
            body.text = self._body_text(body.mime_type, body.text)
        for param in [] if body.params is UNSET else body.params:
            self._param(param)

    def _param(self, param: Param) -> None:
        if isinstance(param.value, str):
            is_json = param.value[:1] in ("{", "[")
            param.value = self.json_text(param.value) if is_json else self._named(param.name, param.value)
        param.name = self.text(param.name)
        for name in ("filename", "content_type", "disposition"):
            if isinstance(getattr(param, name), str):
                setattr(param, name, self.text(getattr(param, name)))
        if isinstance(param.digest, str):
            param.digest = self._placeholders.hex(param.digest)

    def _content(self, body: Content) -> None:
        body.mime_type = self.text(body.mime_type)
        if isinstance(body.digest, str):
            body.digest = self._placeholders.hex(body.digest)
        if isinstance(body.text, str) and not body.encoding:
            body.text = self._body_text(body.mime_type, body.text)

    def _body_text(self, mime_type: str, text: str) -> str:
        if "x-www-form-urlencoded" in mime_type:
            return self.url(f"?{text}")[1:]
        return self.json_text(text) if text.lstrip()[:1] in ("{", "[", '"') else self.text(text)

    def _grpc(self, grpc: Grpc) -> None:
        grpc.request = [self.json_value(message) for message in grpc.request]
        grpc.response = [self.json_value(message) for message in grpc.response]
        grpc.message = self.text(grpc.message)
        grpc.initial, grpc.trailers = self._headers(grpc.initial), self._headers(grpc.trailers)

    # --- headers

    def _learn(self, pairs: Iterable[Pair]) -> None:
        """Register the secrets in headers, so that they are redacted everywhere: a body may repeat them."""
        for pair in pairs:
            name = pair.name.lower()
            if "keys" in self._rules and name in KEY_HEADERS:
                secret = pair.value.partition(" ")[2].strip() or pair.value.strip()
                if presented(secret) and secret not in self._keys and not _IS_LABEL.fullmatch(secret):
                    self._registered[secret] = OTHER_KEY
            elif "cookies" in self._rules and name in COOKIE_HEADERS:
                self._learn_words(each.partition("=")[2] for each in pair.value.split(";"))
            elif name in NAMES_OF_HOSTS:
                continue
            elif ("places" in self._rules and PLACE_HEADERS.fullmatch(name)) or (
                "trace" in self._rules and TRACE_HEADERS.fullmatch(name)
            ):
                self._learn_words([pair.value])

    def _learn_words(self, values: Iterable[str]) -> None:
        for value in values:
            if len(value.strip()) >= REGISTERED_CHARS_MIN and re.search(r"[1-9A-Za-z]", value):
                self._echoed[value.strip()] = REDACTED

    def _headers(self, pairs: Iterable[Pair]) -> list[Pair]:
        return [Pair(self.text(pair.name), self._header(pair.name.lower(), pair.value)) for pair in pairs]

    def _header(self, name: str, value: str) -> str:
        if "keys" in self._rules and (name in KEY_HEADERS or is_secret_name(name)) and name not in COOKIE_HEADERS:
            return self._credentials(value)
        if "cookies" in self._rules and name in COOKIE_HEADERS:
            return self._cookies(name, value)
        if "places" in self._rules and PLACE_HEADERS.fullmatch(name):
            self.struck["addresses"] += 1
            return REDACTED
        if "trace" in self._rules and TRACE_HEADERS.fullmatch(name):
            return re.sub(r"[0-9A-Za-z]", "0", value)
        return self.url(value) if name in ("location", "referer", "origin") else self.text(value)

    def _credentials(self, value: str) -> str:
        """Return an Authorization with the label of its key, from which `compare` selects the key to send."""
        scheme, space, secret = value.partition(" ")
        if not space:
            scheme, secret = "", value
        label = self._keys.get(secret.strip())
        if label is None:
            if _IS_LABEL.fullmatch(secret.strip()):
                return value
            label = OTHER_KEY
        self.struck["keys"] += 1
        return f"{scheme}{space}{label}"

    def _cookies(self, name: str, value: str) -> str:
        self.struck["cookies"] += 1
        first, _, rest = value.partition(";")
        if name == "set-cookie":
            return f"{first.partition('=')[0]}={REDACTED}"
        return "; ".join(f"{each.partition('=')[0].strip()}={REDACTED}" for each in [first, *rest.split(";")] if each)

    # --- bodies

    def json_value(self, value: Any, name: str = "") -> Any:
        """Sanitize a JSON value; `name` is the name of its field."""
        match value:
            case str():
                return self._named(name, value)
            case list():
                return [self.json_value(item, name) for item in value]
            case dict():
                return {self.text(key): self.json_value(item, key) for key, item in value.items()}
            case _:
                return value

    def json_text(self, text: str) -> str:
        """Sanitize the strings of JSON text, also of invalid JSON, and change nothing else.

        Error messages contain columns of the request, so the bytes around the strings must not change.
        """
        name = ""
        pieces, end = [], 0
        for found in _JSON_STRING.finditer(text):
            literal = found[0]
            if found[1] != '"':
                pieces += [self._outside(text[end : found.start()]), '"', self._named(name, literal[1:])]
                return "".join(pieces)
            try:
                value = json.loads(literal, strict=False)
            except ValueError:
                value = literal[1:-1]
            if _JSON_NAME_FOLLOWS.match(text, found.end()):
                name, clean = value, self.text(value)
            else:
                clean = self._named(name, value)
            pieces.append(self._outside(text[end : found.start()]))
            pieces.append(literal if clean == value else json.dumps(clean, ensure_ascii=literal.isascii()))
            end = found.end()
        return "".join(pieces) + self._outside(text[end:])

    def _outside(self, text: str) -> str:
        """Sanitize the text between strings: numbers and punctuation, or anything in invalid JSON."""
        return self.text(text) if len(text) > 6 else text

    def _named(self, name: str, value: str) -> str:
        """The value of a field."""
        word = name.lower()
        if word == CONTENT_HASH and HEX.fullmatch(value):  # the content of a small file could be guessed from it
            return self._placeholders.hex(value)
        if "keys" in self._rules and is_secret_name(name):
            self.struck["keys"] += 1
            return REDACTED
        if "places" in self._rules and "-" in name and PLACE_HEADERS.fullmatch(name):
            self.struck["addresses"] += 1
            return REDACTED
        if "tokens" in self._rules and word.replace("_", "").replace("-", "") in TOKEN_NAMES and value:
            return self._register(value, self._placeholders.token(value))
        if "contents" in self._rules and word in CONTENT_NAMES.get(self._operation, ()):
            return base64_filler(value)
        if "texts" in self._rules and self._is_free_text(word, value):
            self.struck["texts"] += 1
            clean = self._placeholders.text(value)
            if len(value) >= REGISTERED_CHARS_MIN and value != clean:
                self._echoed[value] = clean
            return clean
        if "people" in self._rules and self._operation.startswith("auth.") and word in PEOPLE_NAMES and value:
            clean = self._placeholders.email(value) if "@" in value else self._placeholders.name(value)
            return self._register(value, clean) if " " in value or len(value) > 12 else clean
        if word.endswith("url") and value.startswith("http"):
            return self.url(self._url_tokens(value))
        return self.text(value)

    def _is_free_text(self, name: str, value: str) -> bool:
        if name == "url" and value.startswith(KEPT_URLS):
            return False
        return any(self._operation.startswith(family) and name in names for family, names in TEXT_NAMES.items())

    def _register(self, value: str, clean: str) -> str:
        if len(value) >= REGISTERED_CHARS_MIN and value != clean:
            self._registered[value] = clean
        return clean

    def _url_tokens(self, url: str) -> str:
        """Return a URL of the service without the token in its path."""
        if "tokens" not in self._rules or "://" not in url:
            return url

        def replace(found: re.Match[str]) -> str:
            if UUID.search(found[0]) or found[0].startswith("token-"):
                return found[0]
            return self._register(found[0], self._placeholders.token(found[0]))

        start = url.index("://") + 3
        return url[:start] + _SEGMENT.sub(replace, url[start:])

    # --- texts

    def url(self, url: str) -> str:
        """Sanitize a URL; the values of its query by their names."""
        path, mark, query = url.partition("?")
        pairs = [self._query_pair(pair) for pair in query.split("&")] if mark else []
        return self.text(path + mark + "&".join(pairs)) if mark else self.text(path)

    def _query_pair(self, pair: str) -> str:
        name, equals, raw = pair.partition("=")
        value = unquote_plus(raw)
        clean = self._named(unquote_plus(name), value) if equals else value
        encode = quote_plus if "+" in raw else quote
        return pair if clean == value else f"{name}={encode(clean, safe='[]')}"

    def text(self, text: str, depth: int = 0) -> str:
        """Sanitize any text, also percent-encoded or base64-encoded parts."""
        if not text:
            return text
        for value, label in self._secrets:
            text = text.replace(value, label)
        if self._struck_texts is not None:
            text = self._struck_texts.sub(REDACTED, text)
        for known in (self._registered, self._echoed):
            for value, clean in known.items():
                if value in text:
                    text = text.replace(value, clean)
        for rule, work in _TEXT_RULES:
            if rule in self._rules:
                text = work(self, text)
        if depth < DEPTH_MAX:
            text = _PERCENT.sub(lambda found: self._percent_encoded(found[0], depth), text)
            text = _BASE64.sub(lambda found: self._base64_encoded(found[0], depth), text)
        return text

    def _percent_encoded(self, text: str, depth: int) -> str:
        if "%" not in text or not _IS_PERCENT.search(text):
            return text
        plain = unquote(text)
        clean = self.text(plain, depth + 1)
        return text if clean == plain else quote(clean, safe="[]")

    def _base64_encoded(self, text: str, depth: int) -> str:
        clean = self._decoded_base64(text, depth)
        if clean == text and "/" in text:  # which also separates the parts of a path
            return "/".join(self._decoded_base64(part, depth) if len(part) >= 16 else part for part in text.split("/"))
        return clean

    def _decoded_base64(self, text: str, depth: int) -> str:
        try:
            plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if set(text) & set("-_") else None)
        except (ValueError, binascii.Error):
            return text
        try:
            decoded, coding = plain.decode(), "utf-8"
        except UnicodeDecodeError:  # such as a message of protobuf, with texts in it
            decoded, coding = plain.decode("latin-1"), "latin-1"
        clean = self.text(decoded, depth + 1)
        if clean == decoded:
            return text
        encoded = base64.b64encode(
            clean.encode(coding, "replace"), altchars=b"-_" if set(text) & set("-_") else None
        ).decode()
        return encoded if text.endswith("=") or len(text) % 4 == 0 else encoded.rstrip("=")

    def _keys_in(self, text: str) -> str:
        # "Invalid bearer token." is the service's sentence, and no key.
        pieces = BEARER_WORDS.split(text)
        clean = "".join(piece if number % 2 else redact_text(piece) for number, piece in enumerate(pieces))
        clean = USER_OF_URL.sub(rf"\1{REDACTED}@", JWT.sub(REDACTED, clean))
        self.struck["keys"] += clean != text
        return clean

    def _shown_keys_in(self, text: str) -> str:
        def replace(found: re.Match[str]) -> str:
            if found[1]:
                return ENDS_OF_EMULATOR_KEY[0]
            return found[3] + ENDS_OF_EMULATOR_KEY[1]

        return SHOWN_KEY.sub(replace, text)

    def _signatures_in(self, text: str) -> str:
        return SIGNED.sub(lambda found: found[1] + REDACTED, text)

    def _data_urls_in(self, text: str) -> str:
        return DATA_URL.sub(lambda found: found[1] + base64_filler(found[2]), text)

    def _ids_in(self, text: str) -> str:
        text = UUID.sub(self._id, text)
        return HEX.sub(lambda found: self._placeholders.hex(found[0]), text)

    def _id(self, found: re.Match[str]) -> str:
        before = found.string[max(0, found.start() - PREFIX_CHARS_MAX) : found.start()]
        prefix = PREFIX.search(before)
        return self._placeholders.uuid(prefix[0] if prefix else "", found[0].lower())

    def _emails_in(self, text: str) -> str:
        return EMAIL.sub(lambda found: self._placeholders.email(found[0]), text) if "@" in text else text

    def _addresses_in(self, text: str) -> str:
        text = PLACE_SAID.sub(lambda found: found[1] + REDACTED, text)
        return IPV6.sub(self._address, IPV4.sub(self._address, text))

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(found[0].rstrip(".:") if found[0].count(":") < 2 else found[0])
        except ValueError:
            return found[0]
        if address.is_loopback or address.is_unspecified or str(address) == NO_ADDRESS:
            return found[0]
        self.struck["addresses"] += 1
        return NO_ADDRESS

    def _homes_in(self, text: str) -> str:
        return HOME.sub("~", text)


# In this order: a key or a signature may contain what looks like an id.
_TEXT_RULES: tuple[tuple[str, Callable[[Sanitizer, str], str]], ...] = (
    ("keys", Sanitizer._keys_in),
    ("shown-keys", Sanitizer._shown_keys_in),
    ("urls", Sanitizer._signatures_in),
    ("contents", Sanitizer._data_urls_in),
    ("ids", Sanitizer._ids_in),
    ("people", Sanitizer._emails_in),
    ("places", Sanitizer._addresses_in),
    ("paths", Sanitizer._homes_in),
)
