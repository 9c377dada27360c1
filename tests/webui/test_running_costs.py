"""An open page costs the server and the browser little, and sessions stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from nlplug_webui.bundled import GradioFiles
from nlplug_webui.running_costs import reduce_costs

SECRET = "what nobody else may read"


@pytest.fixture
def blocks() -> gr.Blocks:
    """A list of choices to which a session can add what it typed."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        typed = gr.Textbox()
        choice = gr.Dropdown(["first"])
        add, choose = gr.Button(), gr.Button()
        add.click(lambda text: gr.Dropdown(choices=["first", text]), typed, choice, queue=False)
        choose.click(str.upper, choice, typed, queue=False)
        for _ in range(100):
            gr.HTML("one of many")
    return blocks


@pytest.fixture
def client(blocks: gr.Blocks) -> Iterator[TestClient]:
    app = FastAPI()
    gr.mount_gradio_app(app, blocks, path="/", ssr_mode=False)
    reduce_costs(app, blocks)
    with TestClient(app) as client:
        yield client


def call(client: TestClient, event: int, session: str, value: str) -> Any:
    """The answer to an event of a page; None if Gradio refuses it."""
    body = {"fn_index": event, "session_hash": session, "data": [value]}
    response = client.post("/gradio_api/run/predict", json=body)
    return response.json()["data"][0] if response.status_code == 200 else None


def test_a_session_knows_its_own_changes_only(client: TestClient) -> None:
    assert call(client, 1, "one", SECRET) is None
    assert call(client, 0, "one", SECRET) is not None
    assert call(client, 1, "one", SECRET) == SECRET.upper()
    assert call(client, 1, "two", SECRET) is None
    assert call(client, 1, "two", "first") == "FIRST"


def test_a_session_keeps_what_changed_and_no_text(client: TestClient, blocks: gr.Blocks) -> None:
    assert call(client, 1, "one", "first") == "FIRST"
    (session,) = blocks.state_holder.session_data.values()
    assert not session.config_values
    assert not session.blocks_config.blocks.maps[0]  # type: ignore[attr-defined]
    call(client, 0, "one", SECRET)
    assert len(session.config_values) == 1
    assert len(session.blocks_config.blocks.maps[0]) == 1  # type: ignore[attr-defined]
    assert call(client, 1, "one", SECRET)
    assert SECRET.upper() not in repr(session.config_values)


def test_a_server_without_visitors_seldom_looks_for_calls() -> None:
    app = FastAPI()
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.HTML("page")
    gr.mount_gradio_app(app, blocks, path="/", ssr_mode=False)
    before = blocks._queue.sleep_when_free
    reduce_costs(app, blocks)
    assert before < blocks._queue.sleep_when_free
    assert blocks._queue.progress_update_sleep_when_free >= blocks._queue.sleep_when_free


def test_the_clock_of_an_open_page_moves_ten_times_a_second() -> None:
    script = GradioFiles(["html"]).script.decode()
    clocks = [
        part[:150] for part in script.split("setTimeout(()=>{") if "performance.now()-" in part[:60]
    ]
    assert len(clocks) == 1
    assert "},100)" in clocks[0]
