"""Text generation and translation over HTTP as `huggingface_hub`'s client asks for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import ValidationError
from server_kit import WAIT, running

from nlplug import PluginHost, pipeline
from nlplug.server import create_app
from nlplug.testing import tiny_text_generator, tiny_translator

TALE = " there was a time"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server of a tiny model of each task."""
    folder = tmp_path_factory.mktemp("models")
    host = PluginHost.discover(only={"generation", "translation"})
    named = {"source_lang": "en", "target_lang": "fr"}
    made = {
        "generation": tiny_text_generator(folder / "generation"),
        "translation": tiny_translator(folder / "translation", tokenizer_config=named),
    }
    with ExitStack() as stack:
        models = {
            name: stack.enter_context(pipeline(name, bundle.path, threads=1, host=host))
            for name, bundle in made.items()
        }
        address = stack.enter_context(running(create_app(host, models=models, only=True)))
        yield stack.enter_context(httpx.Client(base_url=address, timeout=WAIT))


def inference(client: httpx.Client, name: str) -> InferenceClient:
    return InferenceClient(model=f"{str(client.base_url).rstrip('/')}/models/{name}")


def post(client: httpx.Client, name: str, inputs: Any, **parameters: Any) -> Any:
    return client.post(f"/models/{name}", json={"inputs": inputs, "parameters": parameters}).json()


def test_a_prompt_is_gone_on_from(client: httpx.Client) -> None:
    asked = inference(client, "generation")
    given: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
    assert asked.text_generation("once upon a time", **given) == TALE
    whole = asked.text_generation("once upon a time", return_full_text=True, **given)
    assert whole == f"once upon a time{TALE}"


def test_pieces_joined_are_the_text(client: httpx.Client) -> None:
    asked = inference(client, "generation")
    given: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
    assert "".join(asked.text_generation("once upon a time", stream=True, **given)) == TALE
    *_, last = asked.text_generation("once upon a time", stream=True, details=True, **given)
    assert last.generated_text == TALE
    assert (last.details.finish_reason, last.details.generated_tokens) == ("length", 4)


def test_details_tell_each_token(client: httpx.Client) -> None:
    found = inference(client, "generation").text_generation(
        "once upon a time", max_new_tokens=4, do_sample=False, details=True
    )
    assert found.details is not None
    assert found.details.finish_reason == "length"
    assert [token.text.strip() for token in found.details.tokens] == TALE.split()


def test_draws_can_be_repeated_and_a_temperature_asks_for_them(client: httpx.Client) -> None:
    given: dict[str, Any] = {"max_new_tokens": 16, "temperature": 2.0, "seed": 5}
    asked = inference(client, "generation")
    first = asked.text_generation("once", **given)
    assert first == asked.text_generation("once", **given)
    assert first == "".join(asked.text_generation("once", stream=True, **given))


def test_the_text_ends_before_a_stop_string(client: httpx.Client) -> None:
    asked = inference(client, "generation")
    given: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False, "stop": [" a"]}
    assert asked.text_generation("once upon a time", **given) == " there was"
    *_, last = asked.text_generation("once upon a time", stream=True, details=True, **given)
    assert (last.generated_text, last.details.finish_reason) == (" there was", "stop_sequence")


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_is_told_before_anything_is_sent(client: httpx.Client, stream: bool) -> None:
    with pytest.raises(ValidationError, match="empty"):
        list(inference(client, "generation").text_generation("", stream=stream))
    sent = {"inputs": "once", "parameters": {"num_beams": 2}, "stream": True}
    answer = client.post("/models/generation", json=sent)
    assert (answer.status_code, answer.json()["error_type"]) == (422, "validation")
    assert "num_beams" in answer.json()["error"]


def test_a_sentence_is_translated(client: httpx.Client) -> None:
    asked = inference(client, "translation")
    assert asked.translation("The cat", src_lang="en", tgt_lang="fr").translation_text == "Le chat"
    found = asked.translation(
        "The cat\n\nThe cat",
        src_lang="en",
        tgt_lang="fr",
        truncation="longest_first",
        clean_up_tokenization_spaces=True,
        generate_parameters={"num_beams": 2},
    )
    assert found.translation_text == "Le chat\n\nLe chat"


def test_why_a_translation_ended_is_told_on_request(client: httpx.Client) -> None:
    (found,) = post(client, "translation", "The cat", details=True)
    assert found["translation_text"] == "Le chat"
    assert (found["details"]["finish_reason"], found["details"]["seed"]) == ("eos_token", None)
    many = post(client, "translation", ["The cat sees a dog", "a"], max_new_tokens=1, details=True)
    assert [one["details"]["finish_reason"] for one in many] == ["length"] * 2
    asked = inference(client, "translation")
    more = asked.translation(
        "The cat", src_lang="en", tgt_lang="fr", generate_parameters={"details": True}
    )
    assert more.translation_text == "Le chat"
    sent = {"inputs": "The cat", "parameters": {"details": True}, "stream": True}
    *_, last = client.post("/models/translation", json=sent).text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data:"))["details"]["finish_reason"] == "eos_token"
    refused = client.post("/models/translation", json={**sent, "parameters": {"details": "yes"}})
    assert refused.status_code == 422


def test_several_texts_get_one_translation_each(client: httpx.Client) -> None:
    assert post(client, "translation", "The cat") == [{"translation_text": "Le chat"}]
    assert post(client, "translation", ["The cat", "a dog"]) == [
        {"translation_text": "Le chat"},
        {"translation_text": "un chien"},
    ]
    two = post(client, "translation", "a dog", num_beams=2, num_return_sequences=2)
    assert len(two) == 2


def test_a_translation_can_be_streamed(client: httpx.Client) -> None:
    sent = {"inputs": "The cat\nThe cat", "stream": True}
    with client.stream("POST", "/models/translation", json=sent) as response:
        told = [json.loads(line[5:]) for line in response.iter_lines() if line]
    assert "".join(one["token"]["text"] for one in told) == "Le chat\nLe chat"
    assert told[-1]["generated_text"] == "Le chat\nLe chat"


def test_an_unknown_language_names_the_known_ones(client: httpx.Client) -> None:
    found = post(client, "translation", "The cat", tgt_lang="xx")
    assert found["error_type"] == "validation"
    assert "fr" in found["error"] + found["hint"]
    found = post(client, "translation", "The cat", generate_parameters=3)
    assert "generate_parameters is a number" in found["error"]
