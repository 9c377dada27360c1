"""The shapes and the texts of transformers' own pipeline on the same weights, in short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decoding_kit import CONTEXT
from generation_kit import write_bundles, write_checkpoint

from nlplug import Pipeline
from nlplug.runtime.tokenizer import load_tokenizer
from nlplug_generation.task import GenerationTask

pytestmark = pytest.mark.train

PROMPTS = ["Once upon a time", "the", "Wo ist das Café? 我不知道。"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
CASES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "new text alone": {"return_full_text": False},
    "several beams": {"num_beams": 3, "num_return_sequences": 2},
    "penalties": {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 10},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("checkpoint")
    return folder, write_checkpoint(folder, "llama", chat_template=CHAT_TEMPLATE)


@pytest.fixture(scope="module")
def pipes(
    checkpoint: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Pipeline]:
    bundles = write_bundles(*checkpoint, tmp_path_factory.mktemp("bundles"))
    return {name: Pipeline(GenerationTask(), bundle, threads=1) for name, bundle in bundles.items()}


@pytest.fixture(scope="module")
def theirs(checkpoint: tuple[Path, Any]) -> Any:
    import transformers

    pipe = transformers.pipeline("text-generation", model=str(checkpoint[0]), device="cpu")

    def ask(inputs: Any, **options: Any) -> Any:
        # It would drop spaces before punctuation from the text.
        return pipe(inputs, clean_up_tokenization_spaces=False, **options)

    ask.tokenizer = pipe.tokenizer  # type: ignore[attr-defined] # for stop_strings
    return ask


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("graph", ["fast", "plain"])
def test_texts_are_those_of_transformers(
    pipes: dict[str, Pipeline], theirs: Any, graph: str, case: str
) -> None:
    options = {"do_sample": False, "max_new_tokens": 12, **CASES[case]}
    assert pipes[graph](PROMPTS, **options) == theirs(PROMPTS, **options)
    assert pipes[graph](PROMPTS[2], **options) == theirs(PROMPTS[2], **options)


@pytest.mark.parametrize("graph", ["fast", "plain"])
def test_inside_is_what_the_checkpoint_computes(
    pipes: dict[str, Pipeline], checkpoint: tuple[Path, Any], graph: str
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    options = {"do_sample": False, "max_new_tokens": 4}
    found = pipes[graph].inside(PROMPTS[0], top=3, parts=["attention", "probabilities"], **options)
    ids = [token.id for token in found.tokens]
    model = AutoModelForCausalLM.from_pretrained(checkpoint[0], attn_implementation="eager").eval()
    with torch.no_grad():
        expected = model(torch.tensor([ids]), output_attentions=True)
    maps = np.stack([layer[0].numpy() for layer in expected.attentions])
    np.testing.assert_allclose(found.attention[0].weights, maps, atol=1e-4)
    logits = expected.logits[0, -len(found.probabilities) :]
    for made, shares in zip(found.probabilities, logits.softmax(-1), strict=True):
        top = shares.topk(3)
        assert made.id == made.alternatives[0].id
        assert [one.id for one in made.alternatives] == top.indices.tolist()
        given = [one.probability for one in made.alternatives]
        assert given == pytest.approx(top.values.tolist(), abs=1e-4)


@pytest.mark.parametrize("graph", ["fast", "plain"])
def test_arguments_that_name_tokens_do_what_they_do_in_transformers(
    pipes: dict[str, Pipeline], theirs: Any, graph: str
) -> None:
    prompt, greedy = PROMPTS[0], {"do_sample": False, "max_new_tokens": 12}
    (made,) = pipes[graph](prompt, details=True, return_full_text=False, **greedy)
    tokens = [token["id"] for token in made["details"]["tokens"]]
    # transformers does not find a stop string whose characters span several tokens.
    stop = next(one for one in made["generated_text"][4:] if one.isascii() and one.isprintable())
    for options in (
        {"eos_token_id": tokens[5]},
        {"eos_token_id": [tokens[7], tokens[4]], "skip_special_tokens": False},
        {"suppress_tokens": tokens[:2]},
        {"begin_suppress_tokens": tokens[:1]},
        {"forced_eos_token_id": tokens[0]},
        {"bad_words_ids": [tokens[1:3], tokens[:1]]},
        {"stop_strings": stop},
        {"stop_strings": ["nowhere", stop], "return_full_text": False},
        {"prefix": "the bear and "},
    ):
        more = {"tokenizer": theirs.tokenizer} if "stop_strings" in options else {}
        assert pipes[graph](prompt, **greedy, **options) == theirs(
            prompt, **greedy, **options, **more
        ), options


def test_calls_of_a_small_fast_graph_run_side_by_side(
    pipes: dict[str, Pipeline],
) -> None:
    assert {name: pipe.concurrency for name, pipe in pipes.items()} == {"fast": 2, "plain": 1}


@pytest.mark.parametrize(
    "chat",
    [
        [{"role": "user", "content": "Who?"}],
        [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "It was"}],
    ],
)
def test_chats_are_answered_as_by_transformers(
    pipes: dict[str, Pipeline], theirs: Any, chat: list[dict[str, str]]
) -> None:
    options = {"do_sample": False, "max_new_tokens": 8}
    assert pipes["fast"](chat, **options) == theirs(chat, **options)
    assert pipes["fast"]([chat, chat], **options) == theirs([chat, chat], **options)


@pytest.mark.parametrize("graph", ["fast", "plain"])
def test_streams_never_split_a_character_and_make_up_the_answer(
    pipes: dict[str, Pipeline], graph: str
) -> None:
    options = {"seed": 5, "temperature": 2.0, "max_new_tokens": 60}
    pieces = list(pipes[graph].stream(PROMPTS[2], **options))
    answer = pipes[graph](PROMPTS[2], return_full_text=False, **options)
    assert ["".join(pieces)] == [one["generated_text"] for one in answer]


def test_the_context_can_be_filled_to_the_last_token(pipes: dict[str, Pipeline]) -> None:
    pipe, prompt = pipes["fast"], "once upon a time " * 6
    given = len(load_tokenizer(pipe.bundle).ids(prompt))
    options = {"do_sample": False, "max_new_tokens": 300, "min_new_tokens": 200}
    details = pipe(prompt, details=True, **options)[0]["details"]
    assert details["finish_reason"] == "length"
    assert given + details["generated_tokens"] == CONTEXT + 1  # the last one needs no place
