"""Attributes of pipelines, and values of arguments, that programs for transformers 4.57 use."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parity.models import make_generator
from parity.writers import WRITERS, make_writer

from nlplug import Pipeline, PluginHost, pipeline
from nlplug.errors import InputError, MissingAttribute, OptionError

GOOD = "I loved it"
CHAT = [{"role": "user", "content": "What is the capital of France?"}]
CONTEXT = "Anna lives in Rome."


class DeviceLike:
    """As ``torch.device``."""

    def __str__(self) -> str:
        return "cpu"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Path]]:
    """Checkpoint and bundle of a tiny model."""
    pytest.importorskip("torch")
    from nlplug.export.run import ExportConfig, export_model

    def make(task: str, save: Callable[[Path], Path]) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(task)
        found = PluginHost.discover().task(task)
        checkpoint = save(folder / "checkpoint")
        config = ExportConfig(checkpoint, folder / "bundle", found, precisions=("fp32",))
        return checkpoint, export_model(config).bundle.path

    return make


@pytest.mark.train
def test_a_chat_is_written_as_by_the_tokenizer_of_transformers(
    exported: Callable[..., tuple[Path, Path]],
) -> None:
    import transformers

    checkpoint, bundle = exported("generation", make_generator)
    other = transformers.AutoTokenizer.from_pretrained(checkpoint)
    pipe = pipeline("text-generation", bundle, device="cpu", do_sample=False, max_new_tokens=4)
    own = pipe.tokenizer
    said = [*CHAT, {"role": "assistant", "content": "Paris is"}]

    assert own.chat_template == other.chat_template
    for chat, given in (
        (CHAT, {}),
        (CHAT, {"add_generation_prompt": True}),
        ([CHAT, said], {}),
        (said, {"continue_final_message": True}),
    ):
        for tokenize in (True, False):
            wanted = other.apply_chat_template(chat, tokenize=tokenize, return_dict=False, **given)
            assert own.apply_chat_template(chat, tokenize=tokenize, **given) == wanted
    prompt = own.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    [whole], [new] = pipe(prompt), pipe(CHAT, return_full_text=False)
    assert whole["generated_text"] == prompt + new["generated_text"]
    assert own.apply_chat_template(CHAT, return_dict=True).keys() == own("a").keys()
    with pytest.raises(OptionError, match="exclude each other"):
        own.apply_chat_template(CHAT, add_generation_prompt=True, continue_final_message=True)


def test_a_model_without_a_template_says_so(pipes: Callable[[str], Pipeline]) -> None:
    tokenizer = pipes("sentiment-analysis").tokenizer
    assert tokenizer.chat_template is None
    with pytest.raises(InputError, match="no chat template"):
        tokenizer.apply_chat_template(CHAT)


@pytest.mark.train
def test_the_start_token_of_a_call_is_that_of_generate(
    exported: Callable[..., tuple[Path, Path]],
) -> None:
    import torch
    import transformers

    checkpoint, bundle = exported(
        "summarization", lambda folder: make_writer(WRITERS["T5"], folder)
    )
    pipe = pipeline("summarization", bundle, device="cpu", num_beams=2, max_new_tokens=6)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(checkpoint)
    text = "Wolfgang lives in Berlin and works for Acme"
    ids = torch.tensor([pipe.tokenizer(text)["input_ids"]])

    for start in (0, 5, 9):
        wanted = model.generate(
            ids, decoder_start_token_id=start, num_beams=2, do_sample=False, max_new_tokens=6
        )
        [answer] = pipe(text, decoder_start_token_id=start, return_tensors=True)
        assert answer["summary_token_ids"].tolist() == wanted[0].tolist()
    assert pipe(text, decoder_start_token_id=5) != pipe(text)
    assert pipe(text, decoder_start_token_id=None) == pipe(text)
    config = {"decoder_start_token_id": 5, "eos_token_id": 1}
    assert pipe(text, generation_config=config) == pipe(text, decoder_start_token_id=5)
    with pytest.raises(OptionError, match="start token is 99999"):
        pipe(text, decoder_start_token_id=99999)


def test_a_token_and_the_columns_of_an_encoding(pipes: Callable[[str], Pipeline]) -> None:
    tokenizer = pipes("sentiment-analysis").tokenizer
    first = tokenizer.encode(GOOD)[1]

    assert tokenizer.decode(first) == tokenizer.decode([first]) == "i"
    assert tokenizer.vocab == tokenizer.get_vocab()
    plain = tokenizer(GOOD, return_token_type_ids=False, return_attention_mask=False)
    assert plain == {"input_ids": tokenizer.encode(GOOD)}
    pair = tokenizer(GOOD, GOOD, return_token_type_ids=True)
    assert len(pair["token_type_ids"]) == len(pair["input_ids"])


def test_a_device_equals_that_of_pytorch(pipes: Callable[[str], Pipeline]) -> None:
    device = pipes("sentiment-analysis").device

    assert device == DeviceLike()
    assert device == "cpu" != "cuda:0"
    assert device != "cuda:0"
    assert {device: 1}["cpu"] == 1


def test_what_a_pipeline_keeps_of_its_arguments() -> None:
    with pipeline("sentiment-analysis", device="cpu", batch_size=4, num_workers=2) as pipe:
        assert (pipe._batch_size, pipe._num_workers) == (4, 2)
        assert pipe.call_count is None
        assert pipe.model.config._name_or_path == pipe.model.name_or_path
        assert copy.deepcopy(pipe)._batch_size == 4


def test_settings_of_decoding_cannot_be_set_without_an_effect(
    pipes: Callable[[str], Pipeline],
) -> None:
    pipe = pipes("text-generation")
    for config in (pipe.generation_config, pipe.model.generation_config):
        config.pad_token_id = 0  # what silences a message of transformers
        with pytest.raises(MissingAttribute, match="cannot be set") as caught:
            config.max_new_tokens = 3
        assert "max_new_tokens=3" in str(caught.value.hint)
        assert pickle.loads(pickle.dumps(config)).to_dict() == config.to_dict()
    short = {"max_new_tokens": 3, "do_sample": False}
    wanted = pipe("Once", **short)
    assert pipe("Once", generation_config=pipe.generation_config, **short) == wanted


@pytest.mark.parametrize(
    ("name", "inputs", "names"),
    [
        (
            "question-answering",
            {"question": "Who?", "context": CONTEXT},
            [
                *("top_k", "topk", "doc_stride", "max_seq_len", "max_question_len"),
                *("max_answer_len", "handle_impossible_answer", "align_to_words"),
            ],
        ),
        (
            "text-generation",
            {"text_inputs": "Once", "do_sample": False, "max_new_tokens": 3},
            [
                *("return_full_text", "min_new_tokens", "min_length", "stop_sequence"),
                *("documents", "tools", "prefix", "truncation", "decoder_start_token_id"),
                "negative_prompt_attention_mask",
            ],
        ),
        (
            "text-generation",
            {
                "text_inputs": "Once",
                "do_sample": False,
                "max_new_tokens": 3,
                "return_tensors": True,
            },
            ["return_text", "return_full_text"],
        ),
        (
            "translation",
            {"inputs": "The children play.", "max_length": 9},
            ["max_new_tokens", "min_length", "clean_up_tokenization_spaces", "truncation"],
        ),
    ],
)
def test_none_is_the_default(
    name: str, inputs: dict[str, Any], names: list[str], pipes: Callable[[str], Pipeline]
) -> None:
    wanted = pipes(name)(**inputs)
    for option in names:
        assert pipes(name)(**inputs, **{option: None}) == wanted
    assert pipes(name)(**inputs, **dict.fromkeys(names)) == wanted


def test_a_context_of_spaces_has_no_answer_under_the_name_of_the_hub(
    pipes: Callable[[str], Pipeline],
) -> None:
    blank = {"question": "Who?", "context": " \n "}
    rows = [blank, {"question": "Where?", "context": CONTEXT}]
    ask = pipes("question-answering")

    nothing = {"answer": "", "score": 0.0, "start": 0, "end": 0}
    assert ask(blank) == nothing
    assert ask(rows)[0] == nothing == next(ask(row for row in rows))
    assert ask(rows)[1] == ask(rows[1])
    with pytest.raises(InputError, match="context is ''"):
        ask(question="Who?", context="")
    with pytest.raises(InputError, match="Input 0"):
        pipes("qa")(rows)


def test_the_length_of_a_tokenizer_truncates_as_in_transformers(
    pipes: Callable[[str], Pipeline],
) -> None:
    write = pipes("text-generation")
    short = {"max_new_tokens": 3, "do_sample": False, "return_full_text": False}
    text = "Once upon a time there was a king"

    alone = write(text, tokenizer_encode_kwargs={"max_length": 2}, **short)
    cut = {"max_length": 2, "truncation": True}
    assert alone == write(text, tokenizer_encode_kwargs=cut, **short) != write(text, **short)
    padded = {"max_length": 2, "padding": True}
    assert write(text, tokenizer_encode_kwargs=padded, **short) == write(text, **short)
