"""What the server says about itself, what plugins add to it, and how it lives beside a UI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from plugin_zoo import BROKEN, install

from nlplug import Bundle, PluginHost
from nlplug.errors import MissingExtra, ModelNotFound, UnknownTask
from nlplug.server import create_app

Connect = Callable[[FastAPI], httpx.Client]
BODY = {"inputs": "good"}

ROUTES = """
from nlplug import hookimpl

@hookimpl
def register_routes(app):
    @app.get("/hello")
    def hello(times: int = 1):
        return "hello" * times
    {more}
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def add_routes(site: Path, name: str, more: str = "") -> None:
    install(
        site,
        f"nlplug-{name}",
        {f"{name}_routes": ROUTES.format(more=more)},
        plugins={name: f"{name}_routes"},
        kinds={name: "routes"},
    )


def test_health_names_the_plugins_that_were_left_out(client: httpx.Client) -> None:
    found = client.get("/health").json()
    assert found["status"] == "degraded"
    assert sorted(found["failed_plugins"]) == sorted(specimen.name for specimen in BROKEN)


def test_the_models_come_with_the_cause_of_each_failed_plugin(client: httpx.Client) -> None:
    found = client.get("/models").json()
    assert found["default"] == "tone"
    assert [(model["name"], model["task"]) for model in found["models"]] == [
        ("tone", "tone"),
        ("tone-tiny", "tone"),
    ]
    failed = {plugin["dist"]: plugin for plugin in found["failed_plugins"]}
    for specimen in BROKEN:
        assert specimen.cause in failed[specimen.dist]["cause"]
        assert specimen.hint in failed[specimen.dist]["hint"]


def test_a_model_is_loaded_at_its_first_use_and_once_for_all_its_names(
    host: PluginHost, connect: Connect
) -> None:
    client = connect(create_app(host))
    assert not client.get("/models/tone").json()["loaded"]
    client.post("/models/tone", json=BODY)
    assert client.get("/models/tone-tiny").json()["loaded"]


def test_a_model_can_be_loaded_at_start(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host, preload=["tone-tiny"]))
    assert client.get("/ready").status_code == 200
    assert client.get("/models/tone").json()["loaded"]


def test_it_is_not_ready_before_those_models_are_loaded(host: PluginHost, connect: Connect) -> None:
    app = create_app(host, preload=True)
    assert app.state.nlplug.missing == ["tone", "tone-tiny"]
    assert connect(app).get("/ready").json() == {"status": "ready"}


def test_the_tasks_are_told_as_they_were_declared(client: httpx.Client) -> None:
    tone = client.get("/tasks").json()["tone"]
    assert tone["title"] == {"en": "Tone", "zh": "语气"}
    assert tone["hub_task"] == "text-classification"
    assert tone["input"]["required"] == ["text"]
    assert tone["options"]["properties"]["stride"]["maximum"] == 4096
    plain, explained = tone["output"]["anyOf"]
    assert plain["type"] == "array"
    assert "Explained" in explained["$ref"]
    assert tone["examples"][1] == {"inputs": {"text": "dull"}, "parameters": {"top_k": 2}}


def test_metrics_count_requests_batches_and_errors(host: PluginHost, connect: Connect) -> None:
    client = connect(create_app(host))
    client.post("/models/tone", json={"inputs": ["good", "bad", "dull"]})
    client.post("/models/tone", json={"inputs": 5})
    client.post("/models/nothing", json=BODY)
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    assert 'nlplug_requests_total{model="tone",status="200"} 1.0' in lines
    assert 'nlplug_requests_total{model="tone",status="422"} 1.0' in lines
    assert 'nlplug_requests_total{model="",status="404"} 1.0' in lines
    assert 'nlplug_errors_total{error_type="validation"} 1.0' in lines
    assert 'nlplug_batch_inputs_bucket{le="2.0",model="tone-tiny",task="tone"} 0.0' in lines
    assert 'nlplug_batch_inputs_bucket{le="4.0",model="tone-tiny",task="tone"} 1.0' in lines
    assert 'nlplug_batch_inputs_sum{model="tone-tiny",task="tone"} 3.0' in lines
    assert 'nlplug_request_seconds_count{model="tone"} 2.0' in lines
    assert 'nlplug_queue_requests{model="tone-tiny",task="tone"} 0.0' in lines
    assert 'nlplug_model_loaded{model="tone-tiny",task="tone"} 1.0' in lines


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from references(part)


def test_openapi_describes_each_model_by_its_task(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    assert {"/", "/models/tone", "/models/tone-tiny", "/health"} <= set(document["paths"])
    operation = document["paths"]["/models/tone"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert {"inputs": {"text": "good"}, "parameters": {}} in [
        example["value"] for example in examples.values()
    ]
    options = document["components"]["schemas"]["ToneOptions"]["properties"]
    assert options["stride"]["maximum"] == 4096
    assert options["top_k"]["default"] is None


def test_every_reference_in_the_openapi_document_leads_somewhere(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    found = set(references(document))
    assert found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_is_served_that_would_load_from_elsewhere(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_plugin_adds_routes_below_its_own_path(site: Path, connect: Connect) -> None:
    add_routes(site, "greeter")
    client = connect(create_app(PluginHost.discover(path=[str(site)])))
    assert client.get("/x/greeter/hello?times=2").json() == "hellohello"
    wrong = client.get("/x/greeter/hello?times=many")
    assert (wrong.status_code, wrong.json()["error_type"]) == (422, "validation")
    assert wrong.json()["error"].startswith("query.times: ")
    assert client.get("/x/greeter/nothing").json()["error_type"] == "not_found"


def test_a_plugin_whose_routes_fail_is_left_out_and_named(site: Path, connect: Connect) -> None:
    add_routes(site, "greeter")
    add_routes(site, "clumsy", more="raise RuntimeError('no licence file')")
    client = connect(create_app(PluginHost.discover(path=[str(site)])))
    assert client.get("/x/greeter/hello").json() == "hello"
    assert client.get("/x/clumsy/hello").status_code == 404
    (failed,) = client.get("/models").json()["failed_plugins"]
    assert failed["name"] == "clumsy"
    assert "register_routes raised RuntimeError: no licence file" in failed["cause"]


def test_a_ui_mounted_last_has_the_root_page_and_its_own_errors(
    host: PluginHost, connect: Connect
) -> None:
    ui = FastAPI()

    @ui.get("/")
    def page() -> Response:
        return Response("<h1>UI</h1>", media_type="text/html")

    @ui.exception_handler(404)
    def missing(request: Any, error: Any) -> Response:
        return Response("<h1>no such page</h1>", status_code=404, media_type="text/html")

    app = create_app(host)
    app.mount("/", ui)
    client = connect(app)
    assert client.get("/").text == "<h1>UI</h1>"
    assert client.get("/nothing").text == "<h1>no such page</h1>"
    assert client.post("/", json=BODY).json()[0][0]["label"] == "positive"
    assert client.get("/models/nothing").json()["error_type"] == "not_found"


def test_a_model_is_named_at_start(host: PluginHost, bundle: Bundle, connect: Connect) -> None:
    models = {
        "a-bundle": bundle,
        "a-folder": bundle.path,
        "folder-as-text": str(bundle.path),
        "packaged": "tone-tiny",
        "task": "tone",
        "owner/name": bundle,
    }
    client = connect(create_app(host, models=models, task="tone"))
    for name in models:
        answer = client.post(f"/models/{name}/pipeline/text-classification", json=BODY)
        assert answer.json()[0][0]["label"] == "positive"
    assert client.get("/models").json()["default"] == "a-bundle"


def test_a_model_named_at_start_has_to_exist(host: PluginHost) -> None:
    with pytest.raises(ModelNotFound, match="no-such-model"):
        create_app(host, models={"mine": "no-such-model"}, task="tone")


def test_a_model_that_does_not_say_its_task_needs_one(host: PluginHost, bundle: Bundle) -> None:
    with pytest.raises(UnknownTask, match="'mine' does not state its task"):
        create_app(host, models={"mine": bundle})
    with pytest.raises(UnknownTask, match="'nothing'"):
        create_app(host, task="nothing")


@pytest.mark.parametrize("setting", [{"default": "nothing"}, {"preload": ["nothing"]}])
def test_the_default_and_what_is_preloaded_have_to_be_served(
    host: PluginHost, setting: dict[str, Any]
) -> None:
    with pytest.raises(ModelNotFound, match="'nothing'"):
        create_app(host, **setting)


def test_without_fastapi_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ban:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name == "fastapi":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(__import__("sys").modules, "fastapi")
    monkeypatch.setattr("sys.meta_path", [Ban(), *__import__("sys").meta_path])
    with pytest.raises(MissingExtra, match="'fastapi'") as raised:
        create_app()
    assert raised.value.hint == "pip install 'nlplug[server]'"


def test_a_bare_word_is_a_task_whatever_folders_lie_about(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    (tmp_path / "tone").mkdir()
    monkeypatch.chdir(tmp_path)
    client = connect(create_app(host, models={"tone": "tone"}, only=True))
    assert client.post("/models/tone", json=BODY).json()[0][0]["label"] == "positive"


def test_a_request_of_thousands_of_texts_is_answered_in_order(client: httpx.Client) -> None:
    words = ["good", "bad", "dull"] * 5000
    answers = client.post("/models/tone", json={"inputs": words, "parameters": {"top_k": 1}}).json()
    expected = {"good": "positive", "bad": "negative", "dull": "negative"}
    assert [one[0]["label"] for one in answers] == [expected[word] for word in words]


@pytest.mark.parametrize(
    "path", ["/models/tone/", "/models/tone-tiny/", "/models/tone/pipeline/text-classification/"]
)
def test_a_slash_at_the_end_of_a_url_changes_nothing(client: httpx.Client, path: str) -> None:
    answer = client.post(path, json={"inputs": "good"})
    assert answer.status_code == 200
    assert answer.json() == client.post(path.rstrip("/"), json={"inputs": "good"}).json()
    if "pipeline" not in path:
        assert client.get(path).json() == client.get(path.rstrip("/")).json()
    assert client.get("/models/").json() == client.get("/models").json()
