"""Nothing in a page names another host, and the browser is told to hold it to that."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.testclient import TestClient

from nlplug_webui.private import PrivatePages, scrub


@pytest.mark.parametrize(
    "tag",
    [
        '<script src="https://cdn.example/x.js" async></script>',
        "<script\n\tsrc='//cdn.example/x.js'></script>",
        '<link rel="preconnect" href="https://fonts.example" />',
        '<link href="//fonts.example/a.css" rel="stylesheet">',
        '<meta property="og:image" content="https://images.example/a.png" />',
        '<meta\n name="twitter:card" content="x">',
        '<base href="./" />',
    ],
)
def test_a_tag_that_points_elsewhere_is_dropped(tag: str) -> None:
    assert scrub(f"<head>{tag}</head>".encode()) == b"<head></head>"


@pytest.mark.parametrize(
    "tag",
    [
        '<script type="module" src="./assets/index.js"></script>',
        '<script>window.gradio_config = {"a": "https://x.example"};</script>',
        '<link rel="icon" href="data:image/svg+xml,x">',
        '<meta name="viewport" content="width=device-width">',
        '<base href="../../" />',
    ],
)
def test_the_page_s_own_tags_stay(tag: str) -> None:
    assert scrub(tag.encode()) == tag.encode()


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()

    @app.get("/page")
    def page() -> HTMLResponse:
        return HTMLResponse('<script src="https://x.example/a.js"></script>gradio_config')

    @app.get("/other")
    def other() -> HTMLResponse:
        return HTMLResponse('<script src="https://x.example/a.js"></script>')

    app.add_middleware(PrivatePages)
    return TestClient(app)


def test_a_page_of_gradio_is_scrubbed_and_carries_the_policy(client: TestClient) -> None:
    response = client.get("/page", headers={"Accept": "text/html", "Accept-Encoding": "br"})
    assert response.text == "gradio_config"
    assert response.headers["content-length"] == str(len("gradio_config"))
    assert "default-src 'self'" in response.headers["content-security-policy"]


def test_other_answers_are_left_alone(client: TestClient) -> None:
    response = client.get("/other")
    assert "https://x.example" in response.text
    assert "content-security-policy" not in response.headers
