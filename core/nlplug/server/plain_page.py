"""Pages without scripts: the login, and what browsers see in the place of an error."""

from __future__ import annotations

from html import escape

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E"
    "%3Crect width='32' height='32' rx='9' fill='%230d766c'/%3E%3Cpath d='M11 7v6M21 7v6M8 13h16v3"
    "a8 8 0 0 1-16 0zM16 24v3' fill='none' stroke='white' stroke-width='2.4' "
    "stroke-linecap='round' stroke-linejoin='round'/%3E%3C/svg%3E"
)
"""The icon of all pages."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of these pages: nothing but the page itself is loaded."""
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2327;--soft:#5b656e;--line:#dcded9;--card:#fff;
--paper:#f6f6f3;--accent:#0d766c;--bad:#a63a2b}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaec;--soft:#95a1ab;--line:#2f3943;
--card:#181e24;--paper:#101418;--accent:#4cc2b3;--bad:#f0907f}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK SC",sans-serif;
color:var(--ink);background:var(--paper)}
main{width:min(25rem,100%);padding:32px;background:var(--card);border:1px solid var(--line);
border-radius:14px;overflow-wrap:anywhere}
img{display:block;width:40px;height:40px;margin-bottom:16px}
h1{margin:0 0 8px;font-size:1.4rem;line-height:1.3}
p{margin:8px 0}
a{color:var(--accent);font-weight:600}
small{display:block;margin-top:4px;color:var(--soft)}
form{display:grid;gap:8px;margin-top:16px}
label{font-size:.9rem;font-weight:600}
input,button{font:inherit;padding:9px 14px;border:1px solid var(--line);border-radius:8px}
input{width:100%;color:inherit;background:var(--paper)}
button{margin-top:8px;color:#fff;background:#0d766c;border-color:transparent;font-weight:600;
cursor:pointer}
button:hover{background:#0a625a}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
[role=alert]{color:var(--bad)}
"""


def plain_page(title: str, content: str, language: str) -> str:
    """The HTML of a page.

    Args:
        title: Its heading, and the beginning of the title of the document.
        content: HTML below the heading.
        language: Code of its language.
    """
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · nlplug</title><link rel="icon" href="{ICON}">'
        f'<style>{_STYLE}</style></head><body><main><img src="{ICON}" alt="nlplug">'
        f"<h1>{escape(title)}</h1>{content}</main></body></html>"
    )
