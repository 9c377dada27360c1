"""The page on which a browser gives an API key and gets a session."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from nlplug.server.keys import COOKIE, SESSION_SECONDS, Keys

PATH = "/login"

_MAX_FORM = 8192
_TEXTS = {
    "en": ("Log in", "API key", "Log in", "This is not a valid key."),
    "zh": ("登录", "API 密钥", "登录", "密钥无效。"),
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title} · nlplug</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center;
  margin: 15vh 1rem; }}
form {{ display: grid; gap: .75rem; width: min(22rem, 100%); }}
input, button {{ font: inherit; padding: .5rem .75rem; }}
</style></head>
<body><main><form method="post">
<h1>nlplug</h1>
<label for="key">{label}</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
{problem}<button>{button}</button>
</form></main></body></html>
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def wants_page(connection: HTTPConnection) -> bool:
    """Whether this is a browser that opens a page and can be redirected to the login."""
    opened = connection.scope.get("method") == "GET"
    return opened and "text/html" in connection.headers.get("accept", "")


def to_login(connection: HTTPConnection) -> Response:
    """Redirect a browser to the login, and from there to the requested page."""
    root = connection.scope.get("root_path", "")
    query = connection.url.query
    target = connection.scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{root}{PATH}?next={quote(target, safe='/')}", 303, _HEADERS)


async def answer(request: Request, keys: Keys) -> Response:
    """Answer a request to the login page: the page, or a session for a valid key."""
    if request.method != "POST":
        return _page(request)
    form = bytearray()
    async for chunk in request.stream():
        form += chunk
        if len(form) > _MAX_FORM:
            return _page(request, refused=True)
    given = parse_qs(form.decode("utf-8", "replace")).get("key", [""])[0].strip()
    if not keys.accepts(given.encode("utf-8", "replace")):
        return _page(request, refused=True)
    response = RedirectResponse(_target(request), 303, _HEADERS)
    response.set_cookie(
        COOKIE,
        keys.new_session(),
        max_age=SESSION_SECONDS,
        path=request.scope.get("root_path", "") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def _target(request: Request) -> str:
    """The page after the login: a path of this server, never another host."""
    target = request.query_params.get("next", "")
    if not target.startswith("/") or target[1:2] in ("/", "\\") or not target.isprintable():
        return f"{request.scope.get('root_path', '')}/"
    return target


def _page(request: Request, *, refused: bool = False) -> Response:
    wanted = request.headers.get("accept-language", "").lower()
    language = "zh" if wanted.startswith("zh") else "en"
    title, label, button, problem = _TEXTS[language]
    page = _PAGE.format(
        language=language,
        title=escape(title),
        label=escape(label),
        button=escape(button),
        problem=f'<p role="alert">{escape(problem)}</p>' if refused else "",
    )
    return HTMLResponse(page, 401 if refused else 200, _HEADERS)
