"""STUN and TURN servers for calls, from a file as a browser's RTCPeerConnection takes it.

They are for visitors who cannot reach the server directly: a STUN server tells each side its public
address, a TURN server passes the call on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipwright.errors import LipwrightError, reading_errors

MOST_SERVERS = 10
MOST_BYTES = 64 << 10
_ADDRESS = re.compile(
    r"(?:stuns?:[^\s:?/@]+(?::\d{1,5})?|turns?:[^\s:?/@]+(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?)"
)


@dataclass(frozen=True)
class IceServer:
    """One entry of the list.

    Attributes:
        urls: its addresses, ``stun:``, ``stuns:``, ``turn:`` or ``turns:`` (RFC 7064, RFC 7065).
        username, credential: of a TURN server.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As ``RTCIceServer`` of a browser."""
        found: dict[str, Any] = {"urls": list(self.urls)}
        if self.username is not None:
            found |= {"username": self.username, "credential": self.credential}
        return found


def read_ice_servers(path: Path) -> tuple[IceServer, ...]:
    """The servers of a file: a JSON list of objects with urls, username and credential.

    Raises:
        LipwrightError: the file cannot be read, or an entry is no such object.
    """
    with reading_errors(f"The file of ICE servers {path}"):
        text = path.read_bytes()[: MOST_BYTES + 1]
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LipwrightError(
            f"The file of ICE servers {path} is no JSON; write a list as RTCPeerConnection takes "
            'it, as [{"urls": "stun:stun.example.org:3478"}].'
        ) from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_SERVERS:
        raise LipwrightError(
            f"The file of ICE servers {path} has to hold a list of 1 to {MOST_SERVERS} objects."
        )
    return tuple(_entry(path, number, entry) for number, entry in enumerate(entries, 1))


def _entry(path: Path, number: int, entry: object) -> IceServer:
    where = f"Entry {number} of the file of ICE servers {path}"
    if not isinstance(entry, dict) or not set(entry) <= {"urls", "username", "credential"}:
        raise LipwrightError(
            f"{where} has to be an object with 'urls', and for TURN 'username' and 'credential'."
        )
    urls = entry.get("urls")
    urls = [urls] if isinstance(urls, str) else urls
    if not isinstance(urls, list) or not urls:
        raise LipwrightError(f"{where} needs 'urls', one address or a list of them.")
    for url in urls:
        if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
            raise LipwrightError(
                f"{where} has the address {url!r}; addresses are like stun:HOST:3478, "
                "turn:HOST:3478?transport=udp or turns:HOST:5349?transport=tcp."
            )
    name, secret = entry.get("username"), entry.get("credential")
    relays = any(url.startswith("turn") for url in urls)
    if relays and not (isinstance(name, str) and isinstance(secret, str)):
        raise LipwrightError(f"{where} is a TURN server and needs 'username' and 'credential'.")
    return IceServer(tuple(urls), name if relays else None, secret if relays else None)
