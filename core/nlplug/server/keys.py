"""API keys, and the sessions of browsers that logged in with one."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

from starlette.requests import HTTPConnection

from nlplug.errors import ServerError, Unauthorized

COOKIE = "nlplug_session"
SESSION_SECONDS = 12 * 3600


def read_keys(api_key: str | None = None, file: str | Path | None = None) -> list[str]:
    """The keys that clients may send.

    Args:
        api_key: Keys, separated by commas; empty: no key; None: ``NLPLUG_API_KEY``.
        file: A file with one key per line; blank lines and lines that begin with ``#`` are
            skipped. None for ``NLPLUG_API_KEYS_FILE``, which is read only where ``api_key`` is
            None too.

    Raises:
        ServerError: The file cannot be read, or there is no key in it or between the commas. A
            server with keys configured never starts without them.
    """
    if api_key is None:
        api_key = os.environ.get("NLPLUG_API_KEY", "")
        file = file or os.environ.get("NLPLUG_API_KEYS_FILE")
    keys = [key.strip() for key in api_key.split(",") if key.strip()]
    if api_key and not keys:
        raise ServerError(
            f"The API keys {api_key!r} contain no key.",
            hint="Give one or more keys, separated by commas, or leave them out.",
        )
    if file:
        try:
            lines = Path(file).read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(
                f"The file of API keys {str(file)!r} cannot be read: {error}.",
                hint="Write one key per line, as UTF-8.",
            ) from None
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise ServerError(
                f"The file of API keys {str(file)!r} has no keys.", hint="Write one key per line."
            )
        keys += found
    return keys


class Keys:
    """Checks keys and sessions in constant time.

    Args:
        keys: The keys; empty: no key is needed.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._secret = secrets.token_bytes(32)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accepts(self, given: bytes) -> bool:
        """Whether this is one of the keys."""
        digest = hashlib.sha256(given).digest()
        return any([hmac.compare_digest(digest, known) for known in self._digests])

    def check(self, connection: HTTPConnection) -> None:
        """Check ``Authorization: Bearer``, ``X-API-Key`` and the cookie; one valid value is enough.

        Raises:
            Unauthorized: None of them is valid.
        """
        if not self._digests or self.knows_session(connection.cookies.get(COOKIE, "")):
            return
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        given = [connection.headers.get("x-api-key", "")]
        if scheme.lower() == "bearer":
            given.append(token.strip())
        # Headers were decoded as latin-1, which never fails; this is undone here.
        if not any([self.accepts(key.encode("latin-1", "replace")) for key in given]):
            raise Unauthorized(
                "The API key is not valid." if any(given) else "This server requires an API key.",
                hint="Send the header `Authorization: Bearer KEY`.",
            )

    def new_session(self) -> str:
        """The value of a cookie that is valid for twelve hours, or until the server ends."""
        # Not the time of day: when the clock is set, sessions neither end nor begin again.
        expires = str(int(monotonic()) + SESSION_SECONDS)
        return f"{expires}.{self._sign(expires)}"

    def knows_session(self, cookie: str) -> bool:
        """Whether this server created the cookie, and it has not expired."""
        expires, _, signature = cookie.partition(".")
        right = hmac.compare_digest(
            signature.encode("utf-8", "replace"), self._sign(expires).encode()
        )
        return right and monotonic() < int(expires)

    def _sign(self, expires: str) -> str:
        text = expires.encode("utf-8", "replace")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()
