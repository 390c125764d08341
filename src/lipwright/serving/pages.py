"""The web page."""

from __future__ import annotations

from fastapi import FastAPI


def mount(web: FastAPI) -> None:
    """Add the pages to the application."""
