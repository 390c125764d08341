"""Webhooks: signed, tried again, and sent to allowed hosts only.

Headers and signature are those of the Standard Webhooks specification (standardwebhooks.com), so
that receivers can check them with any of its libraries.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import urllib.error
import urllib.request
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

from lipwright.errors import LipwrightError
from lipwright.serving.background import Background
from lipwright.serving.settings import Settings, is_loopback
from lipwright.serving.store import Store

PAUSES = (5.0, 30.0, 120.0, 600.0, 3600.0, 6 * 3600.0)
"""Seconds between attempts; after the last one the webhook is given up."""
TIMEOUT = 10.0
LOOK_SECONDS = 0.5


def check_url(url: str, allowed: tuple[str, ...]) -> None:
    """Raise LipwrightError unless a webhook may go to this address.

    Args:
        url: the address.
        allowed: hosts, with the port where it is not the scheme's own.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise LipwrightError("The webhook is no address; give https://HOST/PATH.") from None
    place = host if port is None else f"{host}:{port}"
    if parts.username is not None or parts.password is not None:
        raise LipwrightError("The webhook's address holds a password; leave it out.")
    if place not in allowed:
        raise LipwrightError(
            "Webhooks to this host are not allowed; the server's owner can allow it with "
            "--webhook-host."
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise LipwrightError("A webhook needs https.")


def signature(secret: str, message: str, stamp: int, body: str) -> str:
    """``v1,`` and the HMAC-SHA256 of "id.timestamp.body", as the specification has it."""
    content = f"{message}.{stamp}.{body}".encode()
    digest = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect could lead to a host that is not allowed."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


class Deliverer(Background):
    """A thread that sends what the store has waiting; the next start sends what waits still."""

    doing, pause, patience = "sending webhooks", LOOK_SECONDS, TIMEOUT + 1

    def __init__(
        self, settings: Settings, store: Store, pauses: tuple[float, ...] = PAUSES
    ) -> None:
        super().__init__()
        self._settings, self._store, self._pauses = settings, store, pauses
        self._opener = urllib.request.build_opener(_NoRedirect)

    def once(self) -> None:
        """Send all that are due."""
        rows = self._store.database.rows(
            "SELECT * FROM deliveries WHERE state = 'waiting' AND due <= ? ORDER BY due LIMIT 20",
            time.time(),
        )
        for row in rows:
            if self.ended.is_set():
                return
            error = self._send(row["id"], row["url"], row["body"])
            attempts = row["attempts"] + 1
            state, due = "sent", row["due"]
            if error and attempts <= len(self._pauses):
                state, due = "waiting", time.time() + self._pauses[attempts - 1]
            elif error:
                state = "failed"
            self._store.database.run(
                "UPDATE deliveries SET attempts = ?, state = ?, due = ?, error = ? WHERE id = ?",
                attempts,
                state,
                due,
                error,
                row["id"],
            )

    def _send(self, message: str, url: str, body: str) -> str:
        """The reason why it did not arrive, empty if it did."""
        stamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "lipwright",
            "webhook-id": message,
            "webhook-timestamp": str(stamp),
            "webhook-signature": signature(self._settings.webhook_secret, message, stamp, body),
        }
        try:
            check_url(url, self._settings.webhook_hosts)  # the list may be shorter than it was
            request = urllib.request.Request(url, body.encode(), headers)  # noqa: S310 - checked
            answer: Any
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return "" if 200 <= answer.status < 300 else f"status {answer.status}"
        except urllib.error.HTTPError as error:
            error.close()
            return f"status {error.code}"
        except LipwrightError as error:
            return error.sentence
        except (OSError, ValueError) as error:
            return type(error).__name__
