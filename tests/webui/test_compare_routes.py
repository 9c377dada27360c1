"""The routes of the pages that compare models, look inside them and list plugins."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from plugin_zoo import install
from webui_kit import cached_translator

from nlplug import PluginHost
from nlplug.server.pool import ModelPool
from nlplug.workspace import DataSet, WorkspaceFolder
from nlplug_webui.serving import make_app
from nlplug_webui.workshop.compare import marked_rows
from nlplug_webui.workshop.inside import SHOWN
from nlplug_webui.workshop.plugins import CATALOGUE, Plugins
from nlplug_webui.workshop.products import TaskTools

OURS = {"x-nlplug-page": "1"}
ROWS = "text,label\nA wonderful film,positive\nDreadful and boring,negative\n"


def client_of(**settings: Any) -> TestClient:
    app = make_app(tasks=("sentiment",), **settings)
    return TestClient(app, base_url="http://127.0.0.1", headers=OURS)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


def test_the_choices_of_a_task_have_its_models_and_fields(client: TestClient) -> None:
    assert [task["name"] for task in client.get("np-compare/tasks").json()] == ["sentiment"]
    found = client.get("np-compare/tasks/sentiment").json()
    assert found["models"][0] == "sentiment-en"
    assert (found["any"], found["scores"]) == (True, True)
    assert found["other"] is None  # the other installed model is for Chinese
    assert found["fields"][0]["name"] == "text"
    top_k = next(one for one in found["options"] if one["name"] == "top_k")
    assert (top_k["kind"], top_k["value"]) == ("number", 1)
    assert top_k["title"] == {"en": "Number of labels", "zh": "标签数量"}


def test_a_plugin_that_stays_is_not_reported_as_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "acme-nlp", {}, plugins={"ner": "acme"})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = Plugins(PluginHost.discover(), loopback=True, protected=True).uninstall("acme-nlp")
    assert found["ok"] is False
    assert f"acme-nlp 1.0 is still installed: it is in {tmp_path}, outside" in found["output"]


def test_the_scripts_of_the_pages_may_be_kept(client: TestClient) -> None:
    page = client.get("/", headers={"accept": "text/html"}).text
    scripts = re.findall(r'<script src="\./(np-[^"]+)"', page)
    names = [address.partition("?")[0] for address in scripts]
    assert names == ["np-page.js", "np-gradio.js", "np-workshop.js"]
    for address in scripts:
        reply = client.get(address)
        assert "immutable" in reply.headers["cache-control"]
        assert len(reply.text) > 1000


def test_a_model_has_its_sizes_and_the_record_of_its_gate(client: TestClient) -> None:
    found = client.get("np-compare/tasks/sentiment/model", params={"model": "sentiment-en"}).json()
    [measured] = found["gate"]["precisions"]
    assert found["precisions"] == {"int8": measured["size"]}
    assert measured["low"] <= measured["loss"] <= measured["high"]
    assert "rows of" in found["gate"]["rows"]


def test_one_text_is_answered_by_both(client: TestClient) -> None:
    body = {"sides": [{}, {"precision": "int8"}], "values": ["A wonderful film", ""]}
    found = client.post("np-compare/tasks/sentiment/text", json=body).json()
    assert found["same"] is True
    for side in found["sides"]:
        assert side["name"] == "sentiment-en@int8"
        assert side["seconds"] > 0
        assert side["rows"][0]["label"] == [["positive", False]]


def test_changed_options_apply_to_both(client: TestClient) -> None:
    body = {"sides": [{}, {}], "values": ["A wonderful film", ""], "options": {"top_k": 2}}
    found = client.post("np-compare/tasks/sentiment/text", json=body).json()
    assert [len(side["rows"]) for side in found["sides"]] == [2, 2]
    address = "np-compare/tasks/sentiment/file?name=a.csv&labelled=false&options="
    reply = client.post(address + '{"min_score":1,"abstain_label":"none"}', content=ROWS.encode())
    assert (reply.status_code, reply.json()["agreement"]) == (200, 1.0)


def test_differences_are_marked_word_by_word() -> None:
    first, second = marked_rows(
        [{"text": "a red car", "score": 0.5}, {"text": "b", "score": 0.25}],
        [{"text": "a blue car", "score": 0.75}],
    )
    assert first[0]["text"] == [("a ", False), ("red", True), (" car", False)]
    assert second[0]["text"] == [("a ", False), ("blue", True), (" car", False)]
    assert (first[0]["score"], second[0]["score"]) == ([("0.5000", False)], [("0.7500", False)])
    assert first[1]["text"] == [("b", True)]


def test_a_file_is_compared_as_on_the_command_line(client: TestClient) -> None:
    address = "np-compare/tasks/sentiment/file?name=../dev.csv"
    found = client.post(address, content=ROWS.encode()).json()
    assert (found["rows"], found["agreement"], found["different"]) == (2, 1.0, 0)
    assert [side["score"] for side in found["sides"]] == [1.0, 1.0]
    assert "<html" in found["report"]
    assert found["data"] == "dev.csv"
    assert found["notices"] == [[], []]


@pytest.mark.parametrize("labelled", ["true", "false"])
@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "1 of 3 texts look like French. The model knows English."),
        ("zh-CN", "3 条文本中有 1 条似乎是法语。模型支持的语言：英语。"),
    ],
)
def test_texts_in_other_languages_are_told_of_a_file(
    client: TestClient, labelled: str, language: str, told: str
) -> None:
    french = "Je n'ai pas aimé ce film du tout et il est trop long,negative\n"
    address = f"np-compare/tasks/sentiment/file?name=a.csv&labelled={labelled}"
    headers = {"accept-language": language}
    found = client.post(address, content=(ROWS + french).encode(), headers=headers).json()
    for (notice,) in found["notices"]:
        assert notice.startswith(told)
    assert found["report"].count("sentiment-en@int8: 1 of 3 texts look like French") == 1


@pytest.mark.parametrize(
    ("address", "content", "status", "error"),
    [
        ("sentiment/file?name=a.csv", b"text\nx\n", 422, "a.csv"),
        ("sentiment/file?name=a.csv&limit=0", ROWS.encode(), 422, "'limit' is 0"),
        ("sentiment/file?name=a.csv&first=/nowhere", ROWS.encode(), 404, "/nowhere"),
        ("sentiment/file?name=a.csv&options=[1]", ROWS.encode(), 422, "'options' is '[1]'"),
        ('sentiment/file?name=a.csv&options={"x":1}', ROWS.encode(), 422, "no option 'x'"),
        ('sentiment/file?name=a.csv&options={"top_k":2}', ROWS.encode(), 422, "'top_k' is always"),
        ("nothing/file?name=a.csv", ROWS.encode(), 404, "nothing"),
        ("sentiment/text", b'{"sides": [{}, {}], "values": []}', 422, "'values' has 0"),
        ("sentiment/text", b'{"sides": [{}], "values": ["a", ""]}', 422, "sides"),
        ("sentiment/text", b'{"sides": [{}, {}], "values": [" ", ""]}', 422, "text"),
    ],
)
def test_bad_requests_get_an_error_that_says_what(
    client: TestClient, address: str, content: bytes, status: int, error: str
) -> None:
    headers = {"content-type": "application/json"}
    reply = client.post(f"np-compare/tasks/{address}", content=content, headers=headers)
    assert (reply.status_code, error in reply.json()["error"]) == (status, True), reply.text
    assert "/tmp" not in reply.text


def test_other_sites_cannot_ask(client: TestClient) -> None:
    other = TestClient(client.app, base_url="http://127.0.0.1")
    for address in ("np-compare/tasks/sentiment/file?name=a.csv", "np-plugins/install"):
        reply = other.post(address, content=b"{}")
        assert (reply.status_code, "x-nlplug-page" in reply.json()["error"]) == (422, True)


def test_a_server_for_others_offers_installed_models_only() -> None:
    closed = client_of(any_model=False)
    offered = closed.get("np-compare/tasks/sentiment").json()["models"]
    assert offered == ["sentiment-en", "sentiment-zh"]
    reply = closed.get("np-compare/tasks/sentiment/model", params={"model": "/etc"})
    assert (reply.status_code, "installed models" in reply.json()["error"]) == (404, True)


def test_a_model_of_a_direction_is_found_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path / "cache"))
    host = PluginHost.discover()

    def client_of_pool(*, closed: bool) -> TestClient:
        app = FastAPI()
        app.include_router(TaskTools(host, ModelPool(host, only_packaged=closed)).router)
        return TestClient(app, headers=OURS)

    every, closed = client_of_pool(closed=False), client_of_pool(closed=True)

    def found(client: TestClient, source: str, target: str) -> Any:
        body = {"task": "translation", "source": source, "target": target}
        return client.post("np-products/direction", json=body).json()["model"]

    assert found(every, "eng", "fr") == found(closed, "en", "fra") == "translation-en-fr"
    assert found(every, "fr", "en") is None
    cached_translator(tmp_path / "cache", tmp_path)
    assert found(every, "fr", "en") == "acme/fr-en"
    assert found(closed, "fr", "en") is None


def test_models_of_the_workspace_can_be_compared(tmp_path: Path) -> None:
    workspace = WorkspaceFolder.open(tmp_path / "w", create=True)
    spec = PluginHost.discover().find_model("sentiment-en")
    assert spec is not None and spec.path is not None
    model = workspace.place("models", "mine")
    shutil.copytree(spec.path, model)
    folder = workspace.place("runs", "mine")
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"task": "sentiment"}))
    client = client_of(workspace=str(workspace.path))
    found = client.get("np-compare/tasks/sentiment").json()
    assert str(model) in found["models"]
    assert found["other"] == str(model)


def test_a_translator_of_the_workspace_is_found_for_a_direction(tmp_path: Path) -> None:
    host = PluginHost.discover()
    model = cached_translator(tmp_path / "cache", tmp_path)
    app = FastAPI()
    pool = ModelPool(host, folders=lambda task: [str(model)] * (task == "translation"))
    app.include_router(TaskTools(host, pool).router)
    body = {"task": "translation", "source": "fr", "target": "en"}
    found = TestClient(app, headers=OURS).post("np-products/direction", json=body).json()
    assert found["model"] == str(model)


def test_the_count_of_a_data_set_follows_its_file(tmp_path: Path) -> None:
    workspace = WorkspaceFolder.open(tmp_path / "w", create=True)
    data = DataSet.create(workspace, "one", PluginHost.discover().task("sentiment"))
    assert data.count() == 0
    for rows in (1, 2):
        data.add([{"text": "a", "label": "positive"}])
        assert data.count() == rows


@pytest.mark.parametrize(
    ("keys", "open_to_all", "off"),
    [("", False, "no_login"), ("secret", True, "no_loopback"), ("secret", False, None)],
)
def test_plugins_change_only_on_loopback_with_a_login(
    monkeypatch: pytest.MonkeyPatch, keys: str, open_to_all: bool, off: str | None
) -> None:
    monkeypatch.setenv("NLPLUG_API_KEY", keys)
    client = client_of(open_to_all=open_to_all)
    client.headers["x-api-key"] = keys
    assert client.get("np-plugins/list").json()["off"] == off
    for kind, name in (("install", "ner"), ("uninstall", "nlplug-sentiment")):
        if off is not None:
            reply = client.post(f"np-plugins/{kind}", json={"name": name})
            assert reply.status_code >= 400
            assert "does not install or remove" in reply.json()["error"]
    for kind in ("install", "uninstall"):
        reply = client.post(f"np-plugins/{kind}", json={"name": "--index-url=http://evil.example"})
        assert (reply.status_code, "evil" in reply.json()["error"]) == (422, True)


def test_a_plugin_that_came_or_went_waits_for_a_restart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    install(tmp_path, "nlplug-early", {"early": ""}, plugins={"early": "early"})
    client = client_of()
    assert client.get("np-plugins/list").json()["changed"] == []
    install(tmp_path, "nlplug-late", {"late": ""}, plugins={"late": "late"})
    shutil.rmtree(next(tmp_path.glob("nlplug_early-*")))
    assert client.get("np-plugins/list").json()["changed"] == ["nlplug-early", "nlplug-late"]


def test_the_catalogue_is_the_plugins_of_this_repository() -> None:
    folders = Path(__file__).parents[2] / "plugins"
    names = {path.parent.name.replace("_", "-") for path in folders.glob("*/pyproject.toml")}
    assert set(CATALOGUE) == names


def test_inside_gives_maps_and_refuses_bad_input(client: TestClient) -> None:
    path = "np-inside/tasks/sentiment"
    found = client.post(path, json={"values": ["A wonderful film. " * 20, ""]}).json()
    [attention] = found["attention"]
    assert found["name"] == "sentiment-en@int8"
    assert len(attention["queries"]) == len(attention["layers"][0][0]) == SHOWN < attention["of"]
    bad = client.post(path, json={"values": ["A film", ""], "window": 2})
    assert (bad.status_code, bad.json()["error"][:11]) == (422, "window is 2")
    assert client.post(path, json={"values": []}).status_code == 422
    assert client.post(path, json={"values": ["x"]}, headers={"x-nlplug-page": ""}).is_error
