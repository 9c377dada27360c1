"""One guard before the API, mounted pages and plugin routes: keys, sessions, hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from server_kit import WAIT, running
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from nlplug import PluginHost
from nlplug.errors import OptionError, ServerError
from nlplug.server import create_app
from nlplug.server.keys import COOKIE, SESSION_SECONDS, Keys

Connect = Callable[[FastAPI], httpx.Client]
BODY = {"inputs": "good"}
PAGE = {"Accept": "text/html"}


def with_ui(app: FastAPI) -> FastAPI:
    """The app with a UI mounted behind everything else, as the web UI is."""
    ui = FastAPI()

    @ui.get("/{path:path}")
    def page(path: str) -> str:
        return f"page {path}"

    @ui.post("/{path:path}")
    def upload(path: str) -> str:
        return f"upload {path}"

    @ui.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")

    app.mount("/", ui)
    return app


@pytest.fixture(scope="module")
def locked(host: PluginHost) -> Iterator[httpx.Client]:
    """A client of a server with a UI and two keys."""
    app = with_ui(create_app(host, api_key="first, second"))
    with running(app) as address, httpx.Client(base_url=address, timeout=WAIT) as client:
        yield client


@pytest.fixture
def browser(locked: httpx.Client) -> Iterator[httpx.Client]:
    """Another client of that server, with cookies of its own."""
    with httpx.Client(base_url=locked.base_url, timeout=WAIT, headers=PAGE) as client:
        yield client


@pytest.mark.parametrize("key", ["first", "second"])
def test_each_of_several_keys_opens(locked: httpx.Client, key: str) -> None:
    assert locked.get("/models", headers={"X-API-Key": key}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer first", "X-API-Key": "wrong"},
        {"Authorization": "Bearer wrong", "X-API-Key": "first"},
    ],
)
def test_one_right_key_is_enough(locked: httpx.Client, headers: dict[str, str]) -> None:
    assert locked.get("/models", headers=headers).status_code == 200


@pytest.mark.parametrize("key", ["", "first, second", "first,", "firs", "firstsecond"])
def test_what_is_not_exactly_a_key_opens_nothing(locked: httpx.Client, key: str) -> None:
    assert locked.get("/models", headers={"X-API-Key": key}).status_code == 401


def test_keys_come_from_a_file_too(
    host: PluginHost, tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys"
    file.write_text("# two clients\n\nours\ntheirs\n")
    monkeypatch.setenv("NLPLUG_API_KEYS_FILE", str(file))
    client = connect(create_app(host))
    found = [
        client.get("/models", headers={"X-API-Key": key}).status_code
        for key in ("ours", "theirs", "# two clients", "")
    ]
    assert found == [200, 200, 401, 401]


@pytest.mark.parametrize("content", [None, "", "# only a comment\n", b"\xff\xfe"])
def test_a_server_told_to_ask_for_keys_never_starts_without(
    host: PluginHost, tmp_path: Path, content: str | bytes | None
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ServerError, match="file of API keys"):
        create_app(host, api_keys_file=file)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "//health"),
        ("GET", "/health/"),
        ("GET", "/assets/../config"),
        ("GET", "/nothing"),
    ],
)
def test_a_mounted_ui_is_closed_as_a_whole(locked: httpx.Client, method: str, path: str) -> None:
    refused = locked.request(method, path)
    assert (refused.status_code, refused.json()["error_type"]) == (401, "unauthorized")


def test_websockets_are_closed_too(host: PluginHost) -> None:
    client = TestClient(with_ui(create_app(host, api_key="first")))
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/live"):
        pass
    with client.websocket_connect("/live", headers={"X-API-Key": "first"}) as socket:
        assert socket.receive_text() == "hello"


def test_a_browser_is_sent_to_the_login_and_back(browser: httpx.Client) -> None:
    sent = browser.get("/sentiment?theme=dark")
    assert sent.status_code == 303
    login = sent.headers["location"]
    assert login == "/login?next=/sentiment%3Ftheme%3Ddark"
    assert "no-store" in browser.get(login).headers["cache-control"]
    back = browser.post(login, data={"key": "second"})
    assert (back.status_code, back.headers["location"]) == (303, "/sentiment?theme=dark")
    assert browser.get("/sentiment").json() == "page sentiment"


def test_the_session_is_out_of_reach_for_scripts_and_other_sites(browser: httpx.Client) -> None:
    cookie = browser.post("/login", data={"key": "first"}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "first" not in cookie


def test_a_wrong_key_gives_no_session(browser: httpx.Client) -> None:
    refused = browser.post("/login", data={"key": "third"})
    assert refused.status_code == 401
    assert "not a valid key" in refused.text
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/\r\nX: y", ""]
)
def test_the_login_leads_to_no_other_host(browser: httpx.Client, target: str) -> None:
    sent = browser.post("/login", params={"next": target}, data={"key": "first"})
    assert sent.headers["location"] == "/"


@pytest.mark.parametrize("cookie", ["", ".", "9999999999.", "9999999999.00", "\u00e9.\u00e9"])
def test_a_forged_session_opens_nothing(cookie: str) -> None:
    assert not Keys(["first"]).knows_session(cookie)


def test_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys(["first"])
    cookie = keys.new_session()
    assert keys.knows_session(cookie)
    assert not Keys(["first"]).knows_session(cookie)  # of another server
    expired = "1." + keys._sign("1")
    assert not keys.knows_session(expired)


def test_a_session_stands_in_a_cookie_of_a_known_name(browser: httpx.Client) -> None:
    browser.post("/login", data={"key": "first"})
    assert list(browser.cookies) == [COOKIE]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "127.0.0.1:80"])
def test_a_loopback_page_has_the_names_of_this_machine(client: httpx.Client, name: str) -> None:
    assert client.get("/models", headers={"Host": name}).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8000", "localhost.evil.example"])
@pytest.mark.parametrize("path", ["/", "/models", "/health", "/login", "/config"])
def test_a_foreign_name_is_refused(
    host: PluginHost, connect: Connect, name: str, path: str
) -> None:
    client = connect(with_ui(create_app(host)))
    refused = client.get(path, headers={"Host": name})
    assert (refused.status_code, refused.json()["error_type"]) == (421, "unknown_host")
    assert "--allowed-host" in refused.json()["hint"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed_hosts": ["https://nlp.example.org"]},
        {"allowed_hosts": ["nlp.example.org:8000"]},
        {"allowed_hosts": ["nlp.example.org/api"]},
        {"allowed_hosts": ["a.example.org,b.example.org"]},
        {"allowed_hosts": [""]},
        {"cors": ["https://example.org/"]},
        {"cors": ["example.org"]},
        {"cors": ["https://a.example, https://b.example"]},
        {"cors": ["https://Example.org"]},
    ],
)
def test_a_name_that_no_request_could_have_is_refused(
    host: PluginHost, wrong: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match="is not a"):
        create_app(host, **wrong)
    allowed = ["localhost", "*", "127.0.0.1", "::1", "*.example.org", "xn--bcher-kva.example"]
    origins = ["*", "null", "http://localhost:3000", "https://[::1]:8443"]
    create_app(host, allowed_hosts=allowed, cors=origins)


def test_a_name_that_is_allowed_is_accepted(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, allowed_hosts=["nlp.example.org", "*.example.net"]))
    names = {
        "nlp.example.org": 200,
        "a.example.net:8000": 200,
        "example.net": 421,
        "badexample.net": 421,
        "nlp.example.org.evil.example": 421,
        "127.0.0.1": 200,
    }
    for name, status in names.items():
        assert client.get("/models", headers={"Host": name}).status_code == status, name


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes_may_send_head(locked: httpx.Client, path: str) -> None:
    answer = locked.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/models", "/tasks", "/metrics", "/openapi.json", "/nowhere"])
def test_each_address_answers_head_as_get_without_the_body(
    host: PluginHost, connect: Connect, path: str
) -> None:
    client = connect(create_app(host))
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_an_upload_is_bounded(host: PluginHost, connect: Connect) -> None:
    client = connect(with_ui(create_app(host, max_upload=1000)))
    refused = client.post("/gradio_api/upload", content=b"x" * 1001)
    assert (refused.status_code, refused.json()["error_type"]) == (413, "too_large")
    assert client.post("/gradio_api/upload", content=b"x" * 1000).status_code == 200


def test_the_metrics_are_declared_as_text(client: httpx.Client) -> None:
    paths: Any = client.get("/openapi.json").json()["paths"]
    assert list(paths["/metrics"]["get"]["responses"]["200"]["content"]) == ["text/plain"]


def test_keys_of_a_file_with_a_byte_order_mark_are_accepted(
    host: PluginHost, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbffirst\r\n# old\r\nsecond\r\n")
    client = TestClient(create_app(host, api_keys_file=file), base_url="http://localhost")
    for key in ("first", "second"):
        assert client.get("/models", headers={"X-API-Key": key}).status_code == 200


@pytest.mark.parametrize("keys", [",", " ", " , "])
def test_keys_that_hold_none_do_not_open_the_server(host: PluginHost, keys: str) -> None:
    with pytest.raises(ServerError, match="contain no key"):
        create_app(host, api_key=keys)


def test_a_session_does_not_depend_on_the_clock_that_people_set() -> None:
    keys = Keys(["key"])
    session = keys.new_session()
    assert keys.knows_session(session)
    assert int(session.partition(".")[0]) <= monotonic() + SESSION_SECONDS
