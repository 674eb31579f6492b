"""The token of the control API, which protects an emulator that other machines can reach.

Programs send it as `Authorization: Bearer TOKEN`. A browser opens `/_emulator/?token=TOKEN` once and gets a cookie,
because an EventSource cannot send other headers. The cookie contains a digest of the token and is sent to no other
site.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from html import escape
from urllib.parse import parse_qsl, urlencode

from emulator.control.page import redirect
from emulator.domain.keys import bearer
from emulator.http.responses import HTML, Response
from emulator.state.settings import environment_name, flag

NEEDED = (
    f"this needs the control token: send `Authorization: Bearer TOKEN`. It is what {flag('control_token')} or "
    f"{environment_name('control_token')} gave, else what the emulator printed at its start"
)
_PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>xai-emulator</title>
<p>{sentence}</p>
<form><label>Control token <input name="token" type="password" required autofocus autocomplete="off"></label>
<button>Open the console</button></form>
</html>
"""
_PAGE_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class ControlToken:
    """The token of one emulator."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        digest = hashlib.blake2b(self._token, person=b"xai-console", digest_size=32).hexdigest()
        # Cookies ignore ports: with a name for each token, emulators on one host do not sign each other out.
        self._name, self._value = f"xai_emulator_{digest[:8]}", digest[8:]

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Return whether a request has the token, or its cookie."""
        for name, value in headers:
            if name == b"authorization" and self._is_token(bearer(value.decode("latin-1"))):
                return True
            if name == b"cookie" and self._is_in(value.decode("latin-1")):
                return True
        return False

    def _is_token(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._token)

    def _is_in(self, cookies: str) -> bool:
        pairs = (pair.strip().partition("=") for pair in cookies.split(";"))
        return any(
            name == self._name and hmac.compare_digest(value.encode(), self._value.encode()) for name, _, value in pairs
        )

    def page(self, query: bytes, headers: Iterable[tuple[bytes, bytes]], root_path: str) -> Response | None:
        """Return the response in place of the console: a cookie for a token in the query, else a request for one.

        None if the browser has the cookie.
        """
        parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        given = next((value for name, value in parameters if name == "token"), None)
        if self._is_token(given):
            kept = urlencode([(name, value) for name, value in parameters if name != "token"])
            cookie = f"{self._name}={self._value}; Path={root_path}; HttpOnly; SameSite=Strict"
            return redirect(303, f"{root_path}/{'?' if kept else ''}{kept}", (b"set-cookie", cookie.encode()))
        if given is None and self.admits(headers):
            return None
        sentence = NEEDED if given is None else f"This is not the token. {NEEDED}"
        content = _PAGE.format(sentence=escape(f"{sentence[0].upper()}{sentence[1:]}.")).encode()
        return Response(content, 401, HTML, [*_PAGE_HEADERS, (b"www-authenticate", b"Bearer")])
