"""What every request passes before anything else looks at it.

Host, token, origin, rate and size are checked here, and every answer gets headers that keep pages
of other sites away. Plain ASGI, so that bodies stream through.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lipwright.serving.settings import Settings, is_loopback

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
OPEN_PATHS = ("/healthz",)
UPLOAD_PATHS = ("/api/v1/files",)
MOST_CLIENTS = 10_000

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


@dataclass
class _Bucket:
    """Requests that a client may still make."""

    left: float
    at: float


class _TooLargeError(Exception):
    pass


class Guard:
    """Middleware around the whole application.

    Args:
        app: what comes behind.
        settings: of the server.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._buckets: dict[str, _Bucket] = {}
        self._salt = secrets.token_bytes(16)
        self.answered: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check and pass on; see ASGI."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        client = self._client(scope)
        scope.setdefault("state", {})["client"] = client
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self.answered[message["status"]] += 1
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
                given.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refusal(scope, headers, client)
        if refusal is not None:
            await _refuse(answer, scope, *refusal)
            return
        most = self._most_bytes(scope)
        if not _fits(headers.get("content-length"), most):
            await _refuse(answer, scope, 413, f"The request has more than {most} bytes.")
            return
        try:
            await self._app(scope, _counted(receive, most), answer)
        except _TooLargeError:
            if not begun:
                await _refuse(answer, scope, 413, f"The request has more than {most} bytes.")

    def _client(self, scope: Scope) -> str:
        """Who asks, as a number that says nothing once the server has ended."""
        host = scope["client"][0] if scope.get("client") else ""
        return hashlib.blake2s(host.encode(), key=self._salt, digest_size=8).hexdigest()

    def _most_bytes(self, scope: Scope) -> int:
        if scope["path"] in UPLOAD_PATHS:
            return self._settings.max_upload + (64 << 10)  # the form around the file
        return self._settings.max_body

    def _refusal(self, scope: Scope, headers: Headers, client: str) -> tuple[int, str] | None:
        if not self._known_host(headers.get("host", "")):
            return 421, "This server is not known under that name; see --allow-host."
        if "\0" in scope["path"]:  # no file has such a name, and not every framework refuses it
            return 400, "The address holds a null character, which no name has."
        if scope["path"] in OPEN_PATHS:
            return None
        if not self._token_fits(headers.get("authorization", "")):
            return 401, "This server needs its token, as 'Authorization: Bearer TOKEN'."
        if scope["method"] in SAFE_METHODS:
            return None
        if not _same_origin(headers):
            return 403, "This request comes from a page of another site."
        if not self._may_ask(client):
            return 429, "You ask too often; wait a minute."
        return None

    def _known_host(self, given: str) -> bool:
        """Whether the Host header is ours: a name that points here could be an attacker's."""
        settings = self._settings
        secret = settings.token is not None or (
            settings.own_access and not is_loopback(settings.host)
        )
        if secret and not settings.allowed_hosts:
            return True  # the secret tells apart what the name cannot
        name = urlsplit(f"//{given}").hostname or "" if _plain_host(given) else ""
        known = (
            "localhost",
            "127.0.0.1",
            "::1",
            settings.host.strip("[]"),
            *settings.allowed_hosts,
        )
        return name in known or (is_loopback(name) and is_loopback(settings.host))

    def _token_fits(self, given: str) -> bool:
        token = self._settings.token
        if token is None:
            return True
        scheme, _, rest = given.partition(" ")
        offered = ""
        if scheme.lower() == "bearer":
            offered = rest.strip()
        elif scheme.lower() == "basic":  # what a browser asks its user for; any user name
            try:
                offered = base64.b64decode(rest, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError, ValueError):
                return False
        return hmac.compare_digest(offered.encode(), token.encode())

    def _may_ask(self, client: str) -> bool:
        most, now = self._settings.requests_per_minute, time.monotonic()
        bucket = self._buckets.get(client)
        if bucket is None:
            if len(self._buckets) >= MOST_CLIENTS:
                self._buckets.clear()
            bucket = self._buckets[client] = _Bucket(most, now)
        bucket.left = min(most, bucket.left + (now - bucket.at) * most / 60.0)
        bucket.at = now
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True


def _plain_host(given: str) -> bool:
    return 0 < len(given) < 256 and not set(given) & set("/\\@?# ")


def _same_origin(headers: Headers) -> bool:
    """Whether a request that changes something comes from our own page or from no page at all."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _fits(length: str | None, most: int) -> bool:
    if length is None:
        return True
    return length.isascii() and length.isdigit() and int(length[:20]) <= most


def _counted(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                raise _TooLargeError
        return message

    return counted


async def _refuse(send: Send, scope: Scope, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="lipwright", charset="UTF-8"'))
    if status == 429:
        headers.append((b"retry-after", b"60"))
    if status in (413, 401, 403, 421):
        headers.append((b"connection", b"close"))  # an unread body must not be taken for a request
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
