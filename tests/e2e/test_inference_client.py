"""Every task over HTTP as `huggingface_hub.InferenceClient` asks it, unmodified."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from server_kit import WAIT, running

from nlplug import PluginHost, pipeline
from nlplug.server import create_app
from nlplug.testing import tiny_question_answerer, tiny_text_classifier, tiny_token_classifier

TEXT = "Anna Smith lives in New York, not in Rome."
CONTEXT = "The tower is in Paris. New York has another one."
PLACES = {"paris": (6.0, 6.0), "new": (5.0, 0.0), "york": (0.0, 5.0), "[CLS]": (2.0, 2.0)}
INTENTS = {"alarm": (5.0, 0.0, 0.0), "bank": (0.0, 5.0, 0.0), "play": (0.0, 0.0, 5.0)}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server of tiny models of the three tasks."""
    folder = tmp_path_factory.mktemp("models")
    host = PluginHost.discover(only={"ner", "qa", "classification"})
    made: dict[str, Callable[[Path], Any]] = {
        "ner": tiny_token_classifier,
        "qa": lambda place: tiny_question_answerer(place, PLACES),
        "classification": lambda place: tiny_text_classifier(
            place, INTENTS, labels=("set_alarm", "see_balance", "play_music")
        ),
    }
    with ExitStack() as stack:
        models = {
            name: stack.enter_context(
                pipeline(name, make(folder / name).path, threads=1, host=host)
            )
            for name, make in made.items()
        }
        address = stack.enter_context(running(create_app(host, models=models, only=True)))
        yield stack.enter_context(httpx.Client(base_url=address, timeout=WAIT))


def inference(client: httpx.Client, name: str) -> InferenceClient:
    return InferenceClient(model=f"{str(client.base_url).rstrip('/')}/models/{name}")


def fits(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a value has the shape of a schema, as far as this document goes."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return fits(value, document["components"]["schemas"][name], document)
    if "anyOf" in schema:
        return any(fits(value, form, document) for form in schema["anyOf"])
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
    kind = kinds.get(schema.get("type", ""), int | float)
    if not isinstance(value, kind):
        return False
    if isinstance(value, list):
        return all(fits(each, schema["items"], document) for each in value)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return set(schema.get("required", ())) <= set(value) and all(
            fits(each, known[name], document) for name, each in value.items() if name in known
        )
    return True


def post(client: httpx.Client, name: str, inputs: Any, **parameters: Any) -> httpx.Response:
    return client.post(f"/models/{name}", json={"inputs": inputs, "parameters": parameters})


def test_entities_are_a_flat_list_with_places_in_the_text(client: httpx.Client) -> None:
    found = inference(client, "ner").token_classification(TEXT)
    assert [(one.entity_group, one.word) for one in found] == [
        ("PER", "Anna Smith"),
        ("LOC", "New York"),
        ("LOC", "Rome"),
    ]
    assert all(TEXT[one.start : one.end] == one.word for one in found)


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_every_aggregation_strategy_is_understood(client: httpx.Client, strategy: Any) -> None:
    found = inference(client, "ner").token_classification(
        TEXT, aggregation_strategy=strategy, stride=4
    )
    if strategy == "none":
        assert [one.entity for one in found][:2] == ["B-PER", "I-PER"]
    else:
        assert [one.entity_group for one in found] == ["PER", "LOC", "LOC"]


def test_labels_can_be_ignored(client: httpx.Client) -> None:
    found = inference(client, "ner").token_classification(TEXT, ignore_labels=["O", "LOC"])
    assert [one.entity_group for one in found] == ["PER"]


def test_several_texts_get_a_list_each(client: httpx.Client) -> None:
    found = post(client, "ner", [TEXT, "nobody"]).json()
    assert [len(one) for one in found] == [3, 0]


def test_an_answer_is_one_object(client: httpx.Client) -> None:
    found = inference(client, "qa").question_answering(question="Where?", context=CONTEXT)
    assert (found.answer, CONTEXT[found.start : found.end]) == ("Paris", "Paris")
    assert 0 < found.score <= 1


def test_several_answers_are_a_list_with_the_best_first(client: httpx.Client) -> None:
    found = inference(client, "qa").question_answering(
        question="Where?",
        context=CONTEXT,
        top_k=2,
        align_to_words=False,
        doc_stride=8,
        handle_impossible_answer=False,
        max_answer_len=5,
        max_question_len=16,
        max_seq_len=48,
    )
    assert [one.answer for one in found] == ["Paris", "Paris. New York"]
    assert found[0].score >= found[1].score


def test_no_answer_is_the_empty_text_with_its_score(client: httpx.Client) -> None:
    found = inference(client, "qa").question_answering(
        question="Where?", context="Unknown.", handle_impossible_answer=True
    )
    assert (found.answer, found.start, found.end) == ("", 0, 0)
    assert 0 < found.score <= 1


def test_one_question_can_be_asked_of_several_contexts(client: httpx.Client) -> None:
    inputs = [{"question": "Where?", "context": text} for text in (CONTEXT, "It is in New York")]
    assert [one["answer"] for one in post(client, "qa", inputs).json()] == ["Paris", "New York"]


def test_all_labels_come_unless_top_k_says_otherwise(client: httpx.Client) -> None:
    asked = inference(client, "classification")
    assert asked.text_classification("play")[0].label == "play_music"
    assert len(asked.text_classification("play")) == 3
    assert len(asked.text_classification("play", top_k=2)) == 2


def test_a_threshold_may_leave_no_label_and_a_model_may_abstain(client: httpx.Client) -> None:
    assert post(client, "classification", "hello", threshold=0.5).json() == [[]]
    found = post(client, "classification", "hello", min_score=0.5).json()
    assert (found[0][0]["label"], found[0][0]["abstained"]) == ("none", True)
    assert len(found[0]) == 4, "the labels with their scores follow"


@pytest.mark.parametrize(
    ("name", "inputs", "parameters", "words"),
    [
        ("qa", {"question": "Who?"}, {}, "inputs: .*lacks 'context'"),
        ("qa", "Who?", {}, "inputs: .*lacks 'context'"),
        ("qa", {"question": " ", "context": "x"}, {}, "inputs: .*question"),
        (
            "qa",
            [{"question": "a", "context": "b"}, {"question": 3, "context": "b"}],
            {},
            r"inputs\.1",
        ),
        ("qa", {"question": "a", "context": "\ud800"}, {}, "context"),
        ("qa", {"question": "a", "context": "b"}, {"top_k": 0}, "parameters: .*top_k is 0"),
        ("ner", TEXT, {"aggregation_strategy": "best"}, "aggregation_strategy is 'best'"),
        ("ner", TEXT, {"ignore_labels": "O"}, "ignore_labels"),
        ("ner", {"question": "a"}, {}, "inputs: "),
        ("ner", "\ud800", {}, "surrogate"),
        ("classification", "x", {"threshold": 2}, "threshold is 2"),
        ("classification", 7, {}, "inputs: "),
    ],
)
def test_what_is_malformed_is_a_422_that_names_the_place(
    client: httpx.Client, name: str, inputs: Any, parameters: dict[str, Any], words: str
) -> None:
    body = json.dumps({"inputs": inputs, "parameters": parameters})
    answer = client.post(f"/models/{name}", content=body)
    assert answer.status_code == 422, answer.text
    assert re.search(words, answer.json()["error"]), answer.text
    assert answer.json()["error_type"] == "validation"


@pytest.mark.parametrize(
    ("name", "inputs", "parameters"),
    [
        ("ner", TEXT, {}),
        ("ner", [TEXT, "nobody"], {"aggregation_strategy": "none"}),
        ("qa", {"question": "Where?", "context": CONTEXT}, {}),
        ("qa", [{"question": "Where?", "context": CONTEXT}], {"top_k": 2}),
        ("classification", "play", {}),
        ("classification", ["play", "bank"], {"threshold": 0.9}),
    ],
)
def test_request_and_reply_are_what_the_openapi_document_says(
    client: httpx.Client, name: str, inputs: Any, parameters: dict[str, Any]
) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"][f"/models/{name}"]["post"]
    request = operation["requestBody"]["content"]["application/json"]["schema"]
    reply = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert fits({"inputs": inputs, "parameters": parameters}, request, document)
    assert fits(post(client, name, inputs, **parameters).json(), reply, document)
    assert not fits({"inputs": [3], "parameters": parameters}, request, document)
    assert not fits([{"odd": 1}], reply, document)
