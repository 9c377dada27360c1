"""The page on which a browser gives an API key and gets a session."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from nlplug.server.keys import COOKIE, SESSION_SECONDS, Keys
from nlplug.server.plain_page import HEADERS, plain_page

PATH = "/login"

_MAX_FORM = 8192
_TEXTS = {
    "en": (
        "Log in",
        "API key",
        "Log in",
        "This is not a valid key.",
        "It is set where the server is started, in NLPLUG_API_KEY.",
    ),
    "zh": (
        "登录",
        "API 密钥",
        "登录",
        "密钥无效。",
        "密钥在启动服务器时通过 NLPLUG_API_KEY 设置。",
    ),
}
_WRONG = ' aria-invalid="true" aria-describedby="problem"'


def wants_page(connection: HTTPConnection) -> bool:
    """Whether this is a browser that opens a page and can be redirected to the login."""
    opened = connection.scope.get("method") == "GET"
    return opened and "text/html" in connection.headers.get("accept", "")


def to_login(connection: HTTPConnection) -> Response:
    """Redirect a browser to the login, and from there to the requested page."""
    root = connection.scope.get("root_path", "")
    query = connection.url.query
    target = connection.scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{root}{PATH}?next={quote(target, safe='/')}", 303, HEADERS)


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
    response = RedirectResponse(_target(request), 303, HEADERS)
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
    title, label, button, problem, about = _TEXTS[language]
    content = (
        f'<form method="post"><label for="key">{escape(label)}</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required '
        f"autofocus{_WRONG if refused else ''}>{_problem(problem) if refused else ''}"
        f"<small>{escape(about)}</small><button>{escape(button)}</button></form>"
    )
    return HTMLResponse(plain_page(title, content, language), 401 if refused else 200, HEADERS)


def _problem(text: str) -> str:
    return f'<p id="problem" role="alert">{escape(text)}</p>'
