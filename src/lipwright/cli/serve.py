"""``lipwright serve``: a web page and an HTTP API."""

from __future__ import annotations

import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lipwright.cli.options import Backend, Device
from lipwright.errors import LipwrightError, missing_extra, system_errors

_limit = partial(typer.Option, rich_help_panel="Limits")
_access = partial(typer.Option, rich_help_panel="Access")
_compute = partial(typer.Option, rich_help_panel="Computing")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(serve)


def serve(
    host: Annotated[str, _access(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, _access(min=1, max=65535, help="Port to listen at.")] = 7860,
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where uploads, jobs and results are kept.")
    ] = Path("lipwright-data"),
    token_file: Annotated[
        Path | None,
        _access(
            metavar="FILE",
            help="Token that every client must give; needed unless the address is a loopback one. "
            "Also taken from LIPWRIGHT_TOKEN.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        _access(
            metavar="NAME",
            help="Host name under which the server may be addressed; may be repeated.",
        ),
    ] = None,
    media: Annotated[
        Path | None,
        _access(metavar="FOLDER", help="Folder whose files jobs may name as 'path:NAME'."),
    ] = None,
    webhook_host: Annotated[
        list[str] | None,
        _access(metavar="HOST[:PORT]", help="Host to which webhooks may be sent; may be repeated."),
    ] = None,
    workers: Annotated[int, _compute(min=1, help="Dubs at the same time.")] = 1,
    device: Annotated[Device, _compute(help="What computes: auto, cpu, cuda or mps.")] = "auto",
    backend: Annotated[
        Backend, _compute(help="Which runtime computes: auto, torch or openvino.")
    ] = "auto",
    synthesiser: Annotated[
        str | None,
        _compute(
            metavar="COMMAND",
            help="Program that speaks texts, a command with {text_file}, {out} and perhaps "
            "{voice}; default: espeak-ng where it is installed.",
        ),
    ] = None,
    live_face: Annotated[
        Path | None,
        typer.Option(
            metavar="VIDEO",
            help="Open the page /live, on which this face says what the visitor says; needs the "
            "extra 'live'.",
        ),
    ] = None,
    ice_servers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="STUN and TURN servers for these calls: a JSON list as RTCPeerConnection takes "
            'it, [{"urls": "stun:HOST:3478"}, ...].',
        ),
    ] = None,
    max_upload: Annotated[int, _limit(min=1, help="Megabytes of one upload.")] = 2000,
    max_storage: Annotated[int, _limit(min=1, help="Gigabytes of all uploads and results.")] = 50,
    max_seconds: Annotated[float, _limit(min=1, help="Length of a video or speech.")] = 600.0,
    keep_days: Annotated[
        float, _limit(min=0.01, help="Days after which uploads and results go.")
    ] = 7.0,
) -> None:
    """Open a web page and an HTTP API for dubbing, until Ctrl-C.

    The page is at http://127.0.0.1:7860, the description of the API at /openapi.json.
    """
    check_extra("lipwright serve")
    if live_face is not None:
        check_live(live_face)
    elif ice_servers is not None:
        raise LipwrightError("--ice-servers are for calls; name a face with --live-face.")
    import logging

    from lipwright.media.synthesis import available
    from lipwright.serving.application import serve as run
    from lipwright.serving.ice import read_ice_servers
    from lipwright.serving.settings import Settings, read_token

    if synthesiser is not None and not available(synthesiser):
        raise LipwrightError(
            f"The synthesiser {synthesiser.split()[0]} was not found; install it, or name another "
            "with --synthesiser."
        )
    secret = _webhook_secret(data) if webhook_host else ""
    settings = Settings(
        data=data.absolute(),
        host=host,
        port=port,
        token=read_token(token_file),
        allowed_hosts=tuple(allow_host or ()),
        media=media.absolute() if media else None,
        webhook_hosts=tuple(webhook_host or ()),
        webhook_secret=secret,
        workers=workers,
        device=device,
        backend=backend,
        max_upload=max_upload * 1_000_000,
        max_storage=max_storage * 1_000_000_000,
        max_seconds=max_seconds,
        keep_seconds=keep_days * 86_400.0,
        live_face=live_face,
        synthesiser=synthesiser,
        ice_servers=read_ice_servers(ice_servers) if ice_servers is not None else (),
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    shown = f"[{host}]" if ":" in host else host
    print(f"Lipwright is at http://{shown}:{port} (Ctrl-C ends it).", file=sys.stderr)
    if live_face is not None:
        print(f"Calls: http://{shown}:{port}/live.", file=sys.stderr)
    print(f"Uploads and results: {settings.data}, kept for {keep_days:g} days.", file=sys.stderr)
    run(settings)


def check_extra(command: str) -> None:
    """Raise LipwrightError unless what the extra 'serve' brings is installed."""
    from importlib.util import find_spec

    for package in ("fastapi", "jinja2", "python_multipart", "uvicorn"):
        if find_spec(package) is None:
            raise missing_extra(f"'{command}'", "serve")


def check_live(face: Path) -> None:
    """Raise LipwrightError unless calls are possible with this face."""
    from importlib.util import find_spec

    from lipwright.media.source import check_file

    if find_spec("aiortc") is None:
        raise missing_extra("--live-face", "live")
    check_file(face, "face video")


def _webhook_secret(data: Path) -> str:
    """The key of the webhooks' signatures, made once; receivers need it, too."""
    path = data / "webhook-secret"
    with system_errors(f"The file {path} cannot be used", "choose another --data"):
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(32) + "\n", "utf-8")
        return path.read_text("utf-8").strip()
