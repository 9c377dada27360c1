"""A generated text as HTML, and the routes for its parts; without a browser."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from nlplug import PluginHost
from nlplug.runtime.answers import TextPiece
from nlplug.server.app import create_app
from nlplug.server.pool import ModelPool
from nlplug_webui.label_names import answers_of, label_name
from nlplug_webui.workshop.products import TaskTools
from nlplug_webui.written import WrittenText


def written(*pieces: TextPiece) -> WrittenText:
    made = WrittenText()
    for piece in pieces:
        made.take(piece)
    return made


def content(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_a_token_without_text_counts_for_the_next_one() -> None:
    made = written(
        TextPiece("", logprobs=(-0.5,)), TextPiece("é<b>", logprobs=(-0.5,)), TextPiece("!")
    )
    html = made.html("en", before="a & b ")
    assert content(html) == "a & b é<b>!"
    assert re.findall(r'title="([^"]*)"', html) == ["Probability: 36.8%"]


def test_parts_are_buttons_and_what_is_kept_is_marked() -> None:
    made = written(TextPiece("Bon {x}", part=0), TextPiece(" ", part=1), TextPiece("<i>", part=2))
    html = made.html("en", parts=True, kept=["{x}", "<i>"])
    assert content(html) == "Bon {x} <i>"
    assert re.findall(r'data-part="(\d)"', html) == ["0", "2"]
    assert [unescape(mark) for mark in re.findall(r"<mark[^>]*>(.*?)</mark>", html)] == [
        "{x}",
        "<i>",
    ]


@pytest.mark.parametrize(
    ("label", "name"), [("B-PER", "Person"), ("GPE", "Country, city or state"), ("X", "")]
)
def test_common_labels_have_names(label: str, name: str) -> None:
    assert label_name(label, "en") == name


def test_the_labels_of_a_model_are_shown_without_tags() -> None:
    assert answers_of(["O", "B-LOC", "I-LOC", "B-XY"], "en") == ["Place (LOC)", "XY"]
    assert answers_of(["LAW", "B-side"], "en") == ["LAW", "B-side"]


@pytest.fixture(scope="module")
def client() -> TestClient:
    headers = {"x-nlplug-page": "1"}
    host = PluginHost.discover(only={"translation", "sentiment"})
    pool = ModelPool(host)
    app = create_app(host, pool=pool)
    app.include_router(TaskTools(host, pool).router)
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


def test_a_text_comes_line_by_line_and_so_does_its_error(client: TestClient) -> None:
    def lines(**call: object) -> list[dict[str, str]]:
        reply = client.post("np-products/whole", json=call)
        assert reply.status_code == 200
        return [json.loads(line) for line in reply.text.splitlines()]

    *said, last = lines(task="translation", item={"text": "Hello.\nHello."})
    assert last == {"done": True, "finish": "eos", "notices": []}
    assert "".join(piece["text"] for piece in said).count("\n") == 1
    [error] = lines(task="translation", item={"text": "Hello"}, options={"tgt_lang": "de"})
    assert "'de'" in error["error"]
    [error] = lines(task="sentiment", item={"text": "Hello"})
    assert "cannot be streamed" in error["error"]


@pytest.mark.parametrize(
    ("route", "changes", "status", "error"),
    [
        ("alternatives", {"part": 9}, 422, "but part 9 was requested"),
        ("alternatives", {"task": "nothing"}, 404, "nothing"),
        ("alternatives", {"item": {"wrong": 1}}, 422, "lacks 'text'"),
        ("whole", {"item": {"text": "a" * 2_000_001}}, 422, "characters"),
    ],
)
def test_bad_calls_get_an_error_that_says_what(
    client: TestClient, route: str, changes: dict[str, object], status: int, error: str
) -> None:
    call = {"task": "translation", "item": {"text": "Hello."}, **changes}
    reply = client.post(f"np-products/{route}", json=call)
    assert (reply.status_code, error in reply.json()["error"]) == (status, True), reply.text
    other = TestClient(client.app, base_url="http://127.0.0.1")
    assert "x-nlplug-page" in other.post(f"np-products/{route}", json=call).json()["error"]
