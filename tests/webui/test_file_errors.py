"""Errors about uploaded files say what can be done on a page, and name no folder of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from nlplug import PluginHost
from nlplug.errors import NlplugError
from nlplug.server.pool import ModelPool
from nlplug_webui.batch import look
from nlplug_webui.file_errors import about_upload
from nlplug_webui.messages import error_html
from nlplug_webui.serving import make_app
from nlplug_webui.task_page import TaskPage

FILES = {
    "notes.docx": b"PK\x03\x04",
    "rows.csv": b'{"text": "good"}\n',
    "marks.csv": b"text;a,b\ngood;1,2\nbad;3,4\n",
    "wide.csv": b"text,label\ngood,positive,more,most\nbad\n",
    "broken.jsonl": b'{"text": "\xff\xfe"}\n',
    "other.csv": b"body,label\ngood,positive\n",
    "unlabelled.csv": b"text\ngood\n",
    "cells.csv": b"text,label\n,positive\n",
    "nothing.csv": b"text,label\n",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = make_app(tasks=("sentiment",), workspace=tmp_path_factory.mktemp("work") / "space")
    with TestClient(app, base_url="http://127.0.0.1", headers={"x-nlplug-page": "1"}) as made:
        made.post("np-workspace/datasets", json={"name": "films", "task": "sentiment"})
        yield made


def told(reply: Any) -> str:
    assert reply.status_code == 422, reply.text
    values = reply.json()
    assert values["hint"]
    return f"{values['error']} {values['hint']}"


@pytest.mark.parametrize("name", FILES)
def test_no_page_names_an_option_of_the_command_line(
    client: TestClient, tmp_path: Path, name: str
) -> None:
    source = tmp_path / name
    source.write_bytes(FILES[name])
    found = []
    try:
        look(PluginHost.discover().task("sentiment"), source)
    except NlplugError as error:
        found.append(error_html(error, "en", file=source))
    compared = client.post(
        "np-compare/tasks/sentiment/file", params={"name": name}, content=FILES[name]
    )
    found.append(told(compared))
    taken = client.post(
        "np-workspace/datasets/films/import", params={"file": name}, content=FILES[name]
    )
    if name != "unlabelled.csv":  # its rows are texts to label
        found.append(told(taken))
    for text in found:
        assert " --" not in text
        assert name in text
        assert str(tmp_path) not in text


def test_a_batch_names_the_file_that_it_cannot_read(tmp_path: Path) -> None:
    host = PluginHost.discover()
    pool = ModelPool(host)
    with gr.Blocks() as blocks:
        TaskPage(host.task("sentiment"), pool, blocks, lambda key: key).build()
    pool.close()
    (upload,) = (block for block in blocks.blocks.values() if isinstance(block, gr.File))
    assert upload.file_types is None  # else an error of Gradio comes first
    source = tmp_path / "a.pdf"
    source.write_bytes(b"%PDF-1.4")
    with pytest.raises(NlplugError) as caught:
        look(host.task("sentiment"), source)
    assert "<p>a.pdf: files with such a name" in error_html(caught.value, "en", file=source)
    chinese = error_html(caught.value, "zh", file=source)
    assert "无法读取文件 a.pdf：不支持此扩展名。" in chinese
    assert "请使用 .csv, .tsv," in chinese


def test_a_file_without_rows_is_not_reported_as_imported(client: TestClient) -> None:
    import_of = "np-workspace/datasets/films/import"
    reply = client.post(import_of, params={"file": "a.csv"}, content=FILES["nothing.csv"])
    assert told(reply) == "a.csv has no rows. Add at least one row."


def test_a_column_that_is_missing_and_one_that_is_empty_have_their_own_advice(
    client: TestClient,
) -> None:
    import_of = "np-workspace/datasets/films/import"
    reply = client.post(import_of, params={"file": "a.csv"}, content=b"body\ngood\n")
    assert told(reply) == "a.csv:2: the column 'text' is missing. The row has 'body'; rename yours."
    reply = client.post(import_of, params={"file": "a.csv"}, content=FILES["cells.csv"])
    assert told(reply).startswith(
        "a.csv:2: the column 'text' is '', not a text. Write a text there, or remove the row."
    )


def test_the_hint_of_every_option_is_changed() -> None:
    path = Path("/srv/a.csv")
    for hint, shown in (
        ("Save the file as UTF-8, or name its encoding by --encoding.", "Save the file as UTF-8."),
        (
            "Save the file as UTF-8, or name its encoding, such as --encoding cp1252.",
            "Save the file as UTF-8.",
        ),
        (
            "Give the tags in the order of their ids by --labels, or write names.",
            "Write names.",
        ),
        ("Give one of them, as in --delimiter ';'.", "Save it with one, such as ';'."),
    ):
        assert about_upload(NlplugError("/srv/a.csv: no.", hint=hint), path).hint == shown
