"""The frame of the plain server-rendered pages; its callers escape what they put in."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse


def page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    """Return a page in the shop's clothes."""
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)} · JP Manga</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="/static/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/static/shop.css"></head><body class="plain">'
        '<header class="topbar"><a class="brand" href="/">'
        '<img src="/static/icon.svg" alt="" width="36" height="36">'
        "<span><strong>JP Manga</strong><small>Ask the bookseller</small></span></a>"
        '<nav><a href="/">Chat</a><a href="/status">Status</a><a href="/docs">API</a></nav></header>'
        f"<main>{body}</main></body></html>",
        status_code=status,
        headers={"cache-control": "no-store"},
    )
