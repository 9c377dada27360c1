"""Which pages there are, what the command says, and what one port answers."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import gradio as gr
import pytest
from fastapi.testclient import TestClient
from gradio.routes import App
from webui_kit import install

from nlplug.errors import ModelNotFound
from nlplug.plugins import PluginHost
from nlplug.server.pool import ModelPool
from nlplug_webui import pages, plugin
from nlplug_webui.app import WebUI
from nlplug_webui.texts import LANGUAGES, TEXTS, language_of

PANELS = """
from nlplug import hookimpl

@hookimpl(optionalhook=True)
def register_panels():
    from nlplug_webui import Panel
    return [Panel(name=name, title=name, build=print) for name in {names}]
"""

ODD = """
from nlplug import hookimpl

@hookimpl(optionalhook=True)
def register_panels():
    import gradio as gr
    from nlplug_webui import Panel

    class Odd(gr.HTML):
        def get_config(self, cls=None):
            raise RuntimeError("no configuration")

    return [Panel(name="odd", title="Odd", build=lambda context: Odd())]
"""


@pytest.fixture
def host(site: Path, monkeypatch: pytest.MonkeyPatch) -> PluginHost:
    monkeypatch.syspath_prepend(str(site))
    return PluginHost.discover(path=[str(site)])


def with_panels(site: Path, monkeypatch: pytest.MonkeyPatch, **plugins: str) -> PluginHost:
    for name, names in plugins.items():
        module = f"panels_{name}_{site.name.replace('-', '_')}"
        install(
            site, f"nlplug-{name}", {module: PANELS.format(names=names)}, plugins={name: module}
        )
    monkeypatch.syspath_prepend(str(site))
    return PluginHost.discover(path=[str(site)])


def test_every_task_and_panel_has_a_page(host: PluginHost) -> None:
    found = {page.name: page.path for page in pages.collect(host)}
    assert found == {
        name: name
        for name in ("boom", "count", "drip", "shout", "spans", "tone", "hello", "halfway")
    }


def test_configuration_and_routes_are_made_when_all_pages_are_there(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[gr.Blocks] = []
    whole = gr.Blocks.get_config_file

    def counted(blocks: gr.Blocks) -> Any:
        made.append(blocks)
        return whole(blocks)

    routes: list[gr.Blocks] = []
    create = App.create_app

    def created(blocks: gr.Blocks, **settings: Any) -> App:
        routes.append(blocks)
        return create(blocks, **settings)

    monkeypatch.setattr(gr.Blocks, "get_config_file", counted)
    monkeypatch.setattr(App, "create_app", created)
    ui = WebUI(host, ModelPool(host))
    assert set(ui.failed_pages) == {"halfway"}
    assert len(made) == len(ui.pages) - 1  # one trial of each page that can be built
    assert ui.blocks not in made
    assert routes == [ui.blocks]
    names = {component["props"].get("elem_id") for component in whole(ui.blocks)["components"]}
    assert {"tone-input-text", "plugins", "workspace"} <= names


def test_a_page_without_a_configuration_is_replaced_by_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "nlplug-odd", {"odd_component": ODD}, plugins={"odd": "odd_component"})
    monkeypatch.syspath_prepend(str(tmp_path))
    host = PluginHost.discover(path=[str(tmp_path)])
    ui = WebUI(host, ModelPool(host))
    assert ui.failed_pages == {"odd": "RuntimeError: no configuration"}
    assert ui.blocks.get_config_file()["components"]


def test_a_page_gives_way_to_addresses_that_are_taken(host: PluginHost) -> None:
    found = {page.name: page.path for page in pages.collect(host, reserved={"tone"})}
    assert found["tone"] == "ui-tone"


def test_a_panel_takes_the_place_of_a_task_s_page(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = with_panels(tmp_path, monkeypatch, mine='["mine", "plugins"]')
    found = {page.name: page.path for page in pages.collect(mine)}
    assert found == {"mine": "mine", "plugins": "ui-plugins"}


def test_two_panels_of_one_name_leave_the_second_plugin_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = with_panels(tmp_path, monkeypatch, first='["same"]', second='["same"]')
    assert [page.owner for page in pages.collect(host)] == ["first"]
    record = next(record for record in host.records() if record.name == "second")
    assert record.state == "failed"
    assert "belongs to the plugin 'first'" in (record.cause or "")


def test_a_panel_of_the_wrong_type_leaves_its_plugin_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from nlplug import hookimpl\n\n@hookimpl(optionalhook=True)\n"
        "def register_panels():\n    return ['a page']\n"
    )
    install(tmp_path, "nlplug-odd", {"odd_panels": source}, plugins={"odd": "odd_panels"})
    monkeypatch.syspath_prepend(str(tmp_path))
    host = PluginHost.discover(path=[str(tmp_path)])
    assert pages.collect(host) == []
    assert "not a nlplug_webui.Panel" in (host.records()[0].cause or "")


def test_a_closed_server_offers_installed_models_alone(host: PluginHost) -> None:
    pool = ModelPool(host, only_packaged=True)
    with pytest.raises(ModelNotFound, match="only its installed models"):
        pool.bundle(host.task("tone"), "/etc")
    assert pool.bundle(host.task("tone"), None).labels == ["negative", "positive"]


def test_a_model_is_loaded_once_and_the_oldest_makes_room(host: PluginHost) -> None:
    pool = ModelPool(host, capacity=1)
    task = host.task("tone")
    with pool.lease(task) as first, pool.lease(task) as second:
        assert second.pipeline is first.pipeline
        assert second.loaded_in == 0
    with pool.lease(task, precision="fp32") as other:
        assert other.pipeline is not first.pipeline
    with pool.lease(task) as again:
        assert again.pipeline is not first.pipeline
    pool.close()


@pytest.fixture
def pool(host: PluginHost) -> Iterator[ModelPool]:
    made = ModelPool(host)
    yield made
    made.close()


@pytest.fixture
def client(host: PluginHost, pool: ModelPool) -> Iterator[TestClient]:
    from nlplug.server.app import create_app
    from nlplug_webui.app import mount

    app = create_app(host, pool=pool)
    mount(app, host, pool)
    with TestClient(app) as made:
        yield made


def test_one_port_answers_people_and_programs(client: TestClient) -> None:
    assert "gradio_config" in client.get("/", headers={"Accept": "text/html"}).text
    assert client.get("/tone").status_code == 200
    assert client.get("/health").json()["status"] == "degraded"
    answered = client.post("/models/tone", json={"inputs": "good"}).json()
    assert "positive" in str(answered)


def test_the_pages_link_to_the_http_api(client: TestClient) -> None:
    assert "./openapi.json" in client.get("/", headers={"Accept": "text/html"}).text
    assert client.get("/openapi.json").json()["openapi"]


def test_pages_and_programs_share_one_model(
    client: TestClient, host: PluginHost, pool: ModelPool
) -> None:
    client.post("/models/tone", json={"inputs": "good"})
    with pool.lease(host.task("tone")) as lease:
        assert lease.loaded_in == 0


@pytest.mark.parametrize("first", ["tone", "twin"])
def test_two_tasks_on_one_model_answer_each_for_itself(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    from nlplug.server.app import create_app

    source = """
from nlplug import hookimpl
from nlplug.families.sequence_classification import (
    SequenceClassificationModel, SequenceClassificationTask,
)

class Model(SequenceClassificationModel):
    def decode(self, item, rows, outputs, options):
        return [{"label": "twin", "score": 1.0}]

class Twin(SequenceClassificationTask):
    name = title = description = "twin"
    default_model = "tone-tiny"

    def bind(self, bundle):
        return Model(bundle)

@hookimpl
def register_tasks():
    return [Twin()]
"""
    install(tmp_path, "nlplug-twin", {"twin_p": source}, plugins={"twin": "twin_p"})
    for folder in (site, tmp_path):
        monkeypatch.syspath_prepend(str(folder))
    host = PluginHost.discover(path=[str(site), str(tmp_path)])
    pool = ModelPool(host)
    expected = {"tone": "positive", "twin": "twin"}
    with TestClient(create_app(host, pool=pool)) as client:
        for name in sorted(expected, key=lambda name: name != first):
            with pool.lease(host.task(name)) as lease:
                assert lease.pipeline("good")[0]["label"] == expected[name]
            answer = client.post(f"/models/{name}", json={"inputs": "good"}).json()
            assert answer[0][0]["label"] == expected[name]


def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = subprocess.run(
            [sys.executable, "-m", "nlplug", "webui", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        f"Error: Port {port} of 127.0.0.1 is in use by another program.",
        f"Hint: Stop that program, or choose another port: --port {port + 1}",
    ]


def test_the_command_is_added_without_gradio() -> None:
    group = click.Group()
    plugin.register_commands(group)
    assert set(group.commands) == {"webui"}
    code = "import sys, nlplug_webui.plugin; sys.exit('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_text_is_there_in_every_language() -> None:
    for key, forms in TEXTS.items():
        assert set(forms) == set(LANGUAGES), key
        # Chinese has no space between sentences.
        assert all(forms.values()) or key == "sentence_gap", key


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,zh;q=0.5,en;q=0.4", "zh"),
        ("de", "en"),
        ("", "en"),
        ("zh;q=x", "zh"),
    ],
)
def test_the_browser_s_language_is_followed(header: str, language: str) -> None:
    class Request:
        headers = {"accept-language": header}  # noqa: RUF012

    assert language_of(Request()) == language
