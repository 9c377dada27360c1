"""An argument of transformers means the same in Python, over HTTP and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, get_origin

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from nlplug import Pipeline, PluginHost, pipeline
from nlplug.cli.main import main
from nlplug.errors import NlplugError
from nlplug.server import create_app
from nlplug.testing import (
    tiny_encoder,
    tiny_question_answerer,
    tiny_text_classifier,
    tiny_text_generator,
    tiny_token_classifier,
    tiny_translator,
    tiny_word_filler,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of old names

NLI = {"sport": (-3.0, 0.0, 3.0), "music": (3.0, 0.0, -3.0)}
MAKERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "feature-extraction": (tiny_encoder, {}),
    "fill-mask": (tiny_word_filler, {}),
    "zero-shot-classification": (
        lambda folder: tiny_text_classifier(folder, NLI, labels=("no", "maybe", "entailment")),
        {"candidate_labels": ["sport", "music"]},
    ),
    "summarization": (tiny_translator, {}),
    "text2text-generation": (tiny_translator, {}),
    "translation": (tiny_translator, {}),
    "sentiment": (tiny_text_classifier, {"top_k": 2}),
    "classification": (tiny_text_classifier, {"top_k": 2}),
    "ner": (tiny_token_classifier, {}),
    "qa": (tiny_question_answerer, {}),
    "generation": (tiny_text_generator, {"do_sample": False, "return_full_text": True}),
}
TEXTS: dict[str, Any] = {
    "fill-mask": "a [MASK] here",
    "ner": "anna smith in paris",
    "qa": {"question": "where", "context": "the cat in paris"},
    "generation": "once upon",
}
_DECODING = [
    ("max_length", 4),
    ("min_length", 3),
    ("generation_config", {"max_new_tokens": 2}),
    ("stop_sequence", "b"),
    ("stop_strings", ["b"]),
    ("eos_token_id", [5, 6]),
    ("bad_words_ids", [[5], [6, 7]]),
    ("forced_eos_token_id", 5),
    ("max_time", 60.5),
    ("max_time", 0),
    ("return_tensors", True),
    ("temperature", None),
    ("pad_token_id", 0),
    ("guidance_scale", 2.0),
    ("num_beam_groups", 1),
    ("streamer", "x"),
    ("batch_size", 8),
    ("batch_size", 0),
]
CALLS: dict[str, list[tuple[str, Any]]] = {
    "feature-extraction": [
        ("return_tensors", True),
        ("return_tensors", "jax"),
        ("truncation", "longest_first"),
        ("max_length", 3),
        ("tokenize_kwargs", {"truncation": True, "max_length": 3}),
    ],
    "fill-mask": [
        ("tokenizer_kwargs", {"truncation": True}),
        ("tokenizer_kwargs", {"stride": 1}),
        ("top_k", None),
        ("targets", None),
        ("max_length", 3),
    ],
    "zero-shot-classification": [
        ("multi_class", True),
        ("truncation", "only_first"),
        ("truncation", "only_second"),
        ("max_length", 4),
    ],
    "summarization": [*_DECODING, ("num_return_sequences", 2)],
    "text2text-generation": _DECODING,
    "translation": [*_DECODING, ("truncation", None), ("clean_up_tokenization_spaces", None)],
    "sentiment": [
        ("function_to_apply", "SIGMOID"),
        ("function_to_apply", "default"),
        ("function_to_apply", "relu"),
        ("truncation", "longest_first"),
        ("truncated_text", "only_first"),
        ("max_length", 3),
        ("return_all_scores", True),
        ("padding", "max_length"),
        ("return_overflowing_tokens", True),
    ],
    "classification": [("function_to_apply", "Softmax"), ("abstain_below", 0.9)],
    "ner": [
        ("aggregation_strategy", "SIMPLE"),
        ("aggregation_strategy", "most"),
        ("grouped_entities", True),
        ("grouped_entities", False),
        ("stride", None),
        ("offset_mapping", [[0, 1]]),
    ],
    "qa": [("topk", 2), ("top_k", None), ("align_to_words", None), ("nonsense", 1)],
    "generation": [
        *_DECODING,
        ("truncation", True),
        ("truncation", "longest_first"),
        ("handle_long_generation", "hole"),
        ("handle_long_generation", "cut"),
        ("prefix", "the "),
        ("skip_special_tokens", False),
        ("add_special_tokens", False),
        ("tokenizer_encode_kwargs", {"truncation": True, "max_length": 2}),
        ("documents", ["x"]),
    ],
}
ALL = [(task, name, value) for task, calls in CALLS.items() for name, value in calls]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Pipeline]]:
    folder = tmp_path_factory.mktemp("models")
    with ExitStack() as stack:
        found = {}
        for name, (make, _) in MAKERS.items():
            make(folder / name)
            found[name] = stack.enter_context(pipeline(name, folder / name, threads=1))
        yield found


@pytest.fixture(scope="module")
def client(pipes: dict[str, Pipeline]) -> Iterator[TestClient]:
    app = create_app(PluginHost.discover(), models=pipes, only=True)
    # An old client, whose answers to zero-shot classification have the form of the pipeline.
    with TestClient(app, headers={"User-Agent": "hf_hub/0.30.0"}) as opened:
        yield opened


def values_of(answer: Any) -> list[Any]:
    """All values in an answer, in their order: the forms of the surfaces differ."""
    if isinstance(answer, np.ndarray | np.generic):
        answer = answer.tolist()
    if isinstance(answer, dict):
        return [part for name, value in answer.items() for part in (name, *values_of(value))]
    if isinstance(answer, list):
        return [part for value in answer for part in values_of(value)]
    return [round(answer, 6) if isinstance(answer, float) else answer]


def in_python(pipe: Pipeline, text: Any, options: dict[str, Any]) -> list[Any] | str:
    try:
        return values_of(list(pipe.map([text], **options)))
    except NlplugError as error:
        return error.message


def can_be_written(task: str, name: str, value: Any) -> bool:
    """Whether an option of the command line can have the value: flags have none."""
    field = PluginHost.discover().task(task).Options.model_fields.get(name)
    return field is None or not (
        (field.annotation is bool and not isinstance(value, bool))
        or (get_origin(field.annotation) is list and value is None)
    )


def test_every_task_is_compared() -> None:
    host = PluginHost.discover()
    assert {host.task(name).name for name in host.task_names()} == set(CALLS)


@pytest.mark.parametrize(("task", "name", "value"), ALL, ids=str)
def test_over_http_it_is_that_of_python(
    pipes: dict[str, Pipeline], client: TestClient, task: str, name: str, value: Any
) -> None:
    text, options = TEXTS.get(task, "a b"), {**MAKERS[task][1], name: value}
    reply = client.post(f"/models/{task}", json={"inputs": text, "parameters": options})
    read = reply.json()
    found = values_of(read) if reply.is_success else read["error"].removeprefix("parameters: ")
    assert found == in_python(pipes[task], text, options)


@pytest.mark.parametrize(
    ("task", "name", "value"), [one for one in ALL if can_be_written(*one)], ids=str
)
def test_on_the_command_line_it_is_that_of_python(
    pipes: dict[str, Pipeline], task: str, name: str, value: Any
) -> None:
    command = pipes[task].definition.name
    text, options = TEXTS.get(task, "a b"), {**MAKERS[task][1], name: value}
    words = [text] if isinstance(text, str) else [f"--{key}={one}" for key, one in text.items()]
    for key, one in options.items():
        words += _flags(pipes[task], key, one)
    folder = str(pipes[task].bundle.path)
    ran = CliRunner().invoke(main, ["run", command, *words, "--model", folder, "--threads", "1"])
    expected = in_python(pipes[task], text, options)
    if isinstance(expected, str):
        assert ran.exit_code
        if "No such option" not in ran.stderr:
            assert f"Error: {expected}" in ran.stderr
    else:
        assert values_of(json.loads(ran.stdout)) == expected


def _flags(pipe: Pipeline, name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    field = pipe.definition.Options.model_fields.get(name)
    if isinstance(value, bool) and field is not None and field.annotation is bool:
        return [flag if value else f"--no-{flag[2:]}"]
    if value is None:
        return [f"{flag}=none"]
    several = field is not None and isinstance(value, list)
    return [
        f"{flag}={one if isinstance(one, str) else json.dumps(one)}"
        for one in (value if several else [value])
    ]


def test_a_warning_about_an_argument_is_in_the_reply(client: TestClient) -> None:
    sent = {
        "inputs": "a b",
        "parameters": {"max_length": 9, "max_new_tokens": 20},
        "warnings": True,
    }
    assert client.post("/models/translation", json=sent).json()["warnings"] == [
        "max_length is ignored, because max_new_tokens is given."
    ]


def test_words_are_given_over_http_as_in_python(
    pipes: dict[str, Pipeline], client: TestClient
) -> None:
    words = [["anna", "smith"], ["paris"]]
    given = {"is_split_into_words": True, "delimiter": "-"}
    reply = client.post("/models/ner", json={"inputs": words, "parameters": given})
    assert reply.json() == json.loads(json.dumps(pipes["ner"](words, **given)))
    assert reply.json()[0][0]["word"] == "anna-smith"
    refused = client.post("/models/ner", json={"inputs": "anna smith", "parameters": given})
    assert (refused.status_code, refused.json()["hint"]) == (
        422,
        "Give a list of words, or a list of such lists.",
    )


def test_max_length_counts_as_work(pipes: dict[str, Pipeline]) -> None:
    app = create_app(PluginHost.discover(), models=pipes, only=True, max_generated=100)
    sent = {"inputs": ["once", "upon"], "parameters": {"max_length": 51}}
    with TestClient(app) as client:
        assert client.post("/models/generation", json=sent).status_code == 413
        assert client.post("/models/classification", json=sent).status_code == 200


def test_help_lists_only_declared_options() -> None:
    text = CliRunner().invoke(main, ["run", "generation", "--help"]).output
    assert "--max-new-tokens" in text
    assert "--max-length" not in text
    assert "--stop-strings" not in text
