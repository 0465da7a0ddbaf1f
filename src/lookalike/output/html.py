"""What all self-contained HTML pages share: their frame and colors, pictures inside, safe text."""

from __future__ import annotations

import base64
from html import escape


def page(title: str, body: str, style: str) -> str:
    """A whole page. Nothing in it comes from elsewhere.

    Args:
        title: its heading, escaped here.
        body: HTML.
        style: CSS beyond what all pages share.
    """
    heading = text(title)
    return f"""<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{heading}</title>
<style>
{_STYLE}{style}</style>
<h1>{heading}</h1>
{body}
</html>
"""


def inline(jpeg: bytes) -> str:
    """A picture as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def text(value: str) -> str:
    """Escaped, and without control characters that would turn or hide what follows."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value))


_STYLE = """:root{color-scheme:light dark;--bg:#f6f5f2;--card:#fff;--ink:#1d1d1f;--soft:#6b6b70;
--line:#e4e2dd;--accent:#3d5a80}
@media(prefers-color-scheme:dark){:root{--bg:#161618;--card:#212124;--ink:#f0efec;--soft:#a0a0a6;
--line:#333338;--accent:#8fb3dd}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1240px;padding:28px 24px 60px;background:var(--bg);color:var(--ink);
font:14px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:20px;font-weight:650;margin:0 0 20px}
"""
