"""The shapes of Hugging Face Inference, asked with the unmodified `InferenceClient`."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient

ALL = ["positive", "negative"]


def address(client: httpx.Client, path: str) -> str:
    return str(client.base_url).rstrip("/") + path


def ask(client: httpx.Client, path: str, text: Any, **parameters: Any) -> list[Any]:
    inference = InferenceClient(model=address(client, path), token="hf_x")
    return inference.text_classification(text, **parameters)


@pytest.mark.parametrize(
    "path",
    [
        "/models/tone",
        "/models/tone-tiny",
        "/models/tone/pipeline/tone",
        "/models/tone-tiny/pipeline/text-classification",
        "/",
        "",
    ],
)
def test_a_text_gets_all_labels_best_first(client: httpx.Client, path: str) -> None:
    found = ask(client, path, "good")
    assert [element.label for element in found] == ALL
    assert found[0].score == pytest.approx(1 - found[1].score)


def test_top_k_cuts_the_labels(client: httpx.Client) -> None:
    assert [element.label for element in ask(client, "/models/tone", "bad", top_k=1)] == [
        "negative"
    ]


@pytest.mark.parametrize(("function", "total"), [("softmax", 1.0), ("sigmoid", 1.0), ("none", 0.0)])
def test_the_function_to_apply_turns_logits_into_scores(
    client: httpx.Client, function: Any, total: float
) -> None:
    # The two logits of this model are each other's negative.
    found = ask(client, "/models/tone", "good", function_to_apply=function)
    assert sum(element.score for element in found) == pytest.approx(total, abs=1e-6)
    assert (found[0].score > 1) == (function == "none")


def test_the_asynchronous_client_gets_the_same(client: httpx.Client) -> None:
    async def work() -> list[Any]:
        inference = AsyncInferenceClient(model=address(client, "/models/tone"))
        return await inference.text_classification("good", top_k=2)

    assert [element.label for element in asyncio.run(work())] == ALL


def test_a_list_of_texts_gets_one_list_a_text(client: httpx.Client) -> None:
    body = {"inputs": ["good", {"text": "bad"}, "dull"], "parameters": {"top_k": 1}}
    found = client.post("/models/tone", json=body).json()
    assert [[element["label"] for element in one] for one in found] == [
        ["positive"],
        ["negative"],
        ["negative"],
    ]


def test_the_client_gives_of_a_batch_the_first_text(client: httpx.Client) -> None:
    # It takes the first element of any reply; that a batch is not flat is what makes this hold.
    assert [element.label for element in ask(client, "/models/tone", ["bad", "good"])] == ALL[::-1]


def test_no_inputs_get_no_answers(client: httpx.Client) -> None:
    assert client.post("/models/tone", json={"inputs": []}).json() == []


@pytest.mark.parametrize("parameters", [{}, None])
def test_parameters_may_be_absent_empty_or_null(client: httpx.Client, parameters: Any) -> None:
    body = {"inputs": "good", "parameters": parameters}
    assert (
        client.post("/models/tone", json=body).json()
        == client.post("/models/tone", json={"inputs": "good"}).json()
    )


def test_what_older_clients_send_beside_the_inputs_is_passed_over(client: httpx.Client) -> None:
    body = {"inputs": "good", "options": {"wait_for_model": True, "use_cache": False}}
    assert client.post("/models/tone", json=body).status_code == 200


def test_the_client_shows_the_server_s_error(client: httpx.Client) -> None:
    with pytest.raises(Exception, match="422"):
        ask(client, "/models/tone", "good", top_k=0)


def test_an_answer_is_explained_on_demand(client: httpx.Client) -> None:
    body = {"inputs": ["good", "bad"], "parameters": {"explain": True, "explain_label": "positive"}}
    found = client.post("/models/tone", json=body).json()
    assert [one["answer"][0]["label"] for one in found] == ALL
    [good], [bad] = (one["explanation"]["words"] for one in found)
    assert (good["word"], good["start"], good["end"]) == ("good", 0, 4)
    assert good["weight"] > 0 > bad["weight"]


def test_a_label_that_does_not_exist_cannot_be_explained(client: httpx.Client) -> None:
    body = {"inputs": "good", "parameters": {"explain": True, "explain_label": "neutral"}}
    reply = client.post("/models/tone", json=body)
    assert reply.status_code == 422
    assert "not a label of the model" in reply.json()["error"]
    assert reply.json()["hint"] == "Its labels are: negative, positive."
