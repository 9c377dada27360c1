"""Arguments that the pipelines of transformers 4.57 take: each works, or says what to write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from nlplug import Pipeline, pipeline
from nlplug.errors import (
    DeviceError,
    InputError,
    ModelNotFound,
    NlplugError,
    OptionError,
    UnknownTask,
)

GOOD = "I loved it"
LONG = "I loved it. " * 20
OPENING = "Once upon a time"


class DeviceLike:
    """As ``torch.device``: its text is the name."""

    def __str__(self) -> str:
        return "cpu"

    def __repr__(self) -> str:
        return "device"


class Empty(list[Any]):
    """As an empty ``LogitsProcessorList``."""


class Unknown:
    """An object of a class that nothing here knows; its name is the same in each process."""

    def __repr__(self) -> str:
        return "unknown"


DEVICE, UNKNOWN = DeviceLike(), Unknown()


@pytest.mark.parametrize(
    "arguments",
    [
        {"device": -1},
        {"device": None},
        {"device": "cpu:0"},
        {"device": DEVICE},
        {"device_map": "auto"},
        {"device_map": "cpu"},
        {"device": -2},
        {"device_map": {"": "cpu"}},
        {"batch_size": 8},
        {"batch_size": 8, "num_workers": 2},
        {"framework": "pt"},
        {"framework": None},
        {"use_fast": True},
        {"trust_remote_code": False},
        {"token": None},
        {"token": True},
        {"token": "hf_secret", "model_kwargs": {"local_files_only": True}},
        {"model_kwargs": {"cache_dir": "no-such-folder", "force_download": False}},
        {"revision": "main"},
        {"model_kwargs": {}},
        {"model_kwargs": {"attn_implementation": "sdpa", "low_cpu_mem_usage": True}},
        {"model_kwargs": {"torch_dtype": "auto", "cache_dir": None}},
        {"model_kwargs": {"load_in_8bit": True}},
        {"torch_dtype": "auto"},
        {"dtype": None},
        {"model": "sentiment-en", "tokenizer": "sentiment-en"},
        {"model": "sentiment-en", "config": "sentiment-en"},
        {"pipeline_class": None},
        {"feature_extractor": None, "image_processor": None, "processor": None},
        {"padding": True},
        {"truncation": True},
        {"truncation": "longest_first", "max_length": 64},
        {"function_to_apply": "SOFTMAX"},
        {"function_to_apply": "default"},
    ],
    ids=str,
)
def test_arguments_without_an_effect_are_accepted(arguments: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pipeline("sentiment-analysis", **arguments) as pipe:
            [answer] = pipe(GOOD)
    with pipeline("sentiment-analysis", device="cpu") as plain:
        assert [answer] == plain(GOOD)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"device": 0}, "running on the CPU"),
        ({"device": "cuda:0"}, "running on the CPU"),
        ({"trust_remote_code": True}, "no code of a repository is run"),
        ({"torch_dtype": "float16"}, "has no precision fp16"),
        ({"dtype": "torch.float32"}, "has no precision fp32"),
        ({"dtype": "bfloat16"}, "no such precision"),
        ({"use_auth_token": "hf_secret"}, "an old name; use token"),
        ({"binary_output": True}, "binary_output is ignored"),
        ({"modelcard": "card.json"}, "modelcard is ignored"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_a_warning_where_the_answer_is_the_same(
    arguments: dict[str, Any], words: str
) -> None:
    with (
        pytest.warns(Warning, match=words),
        pipeline("sentiment-analysis", **arguments) as pipe,
    ):
        assert pipe(GOOD)[0]["label"] == "positive"


@pytest.mark.parametrize(
    ("arguments", "kind", "hint"),
    [
        ({"device": "mps"}, DeviceError, "'cuda:N'"),
        ({"device": True}, DeviceError, "'cuda:N'"),
        ({"device_map": {"encoder": 0, "head": "cpu"}}, OptionError, "give only device"),
        ({"device_map": "auto", "device": 0}, OptionError, "give only device"),
        ({"batch_size": 0}, OptionError, "whole number of 1"),
        ({"framework": "tf"}, OptionError, "ONNX Runtime"),
        ({"use_fast": False}, OptionError, "fast tokenizers"),
        ({"token": ["hf_secret"]}, OptionError, "as a text"),
        ({"subfolder": "b", "model": "sentiment-en"}, OptionError, "folder or a Hub id"),
        ({"subfolder": "../b", "model": "owner/name"}, OptionError, "owner/name//models"),
        ({"tokenizer": "bert-base-cased"}, OptionError, "Leave tokenizer out"),
        ({"config": UNKNOWN}, OptionError, "Leave config out"),
        ({"model_kwargs": {"quantization_config": 1}}, OptionError, "Leave it out"),
        ({"model_kwargs": 3}, OptionError, "dict"),
        ({"pipeline_class": Pipeline}, OptionError, "write a plugin"),
        ({"torch_dtype": "float8"}, OptionError, "precision"),
        ({"model": UNKNOWN}, OptionError, "nlplug export"),
        ({"nonsense": 1}, OptionError, "Its options are"),
    ],
    ids=str,
)
def test_other_arguments_are_refused_with_the_way_to_go(
    arguments: dict[str, Any], kind: type[NlplugError], hint: str
) -> None:
    with pytest.raises(kind) as caught:
        pipeline("sentiment-analysis", **arguments)

    assert hint in str(caught.value.hint)
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "text-classification",
        "sentiment-analysis",
        "ner",
        "token-classification",
        "question-answering",
        "text-generation",
        "translation",
        "translation_xx_to_yy",
        "translation_en_to_fr",
    ],
)
def test_names_of_tasks_are_known(name: str, pipes: Callable[[str], Pipeline]) -> None:
    assert pipes(name).task == name


def test_the_name_of_a_translation_holds_its_languages(pipes: Callable[[str], Pipeline]) -> None:
    beams = pipes("translation")("Good morning", num_beams=4)
    assert pipes("translation_en_to_fr")("Good morning") == beams
    with pytest.raises(InputError, match="de"):
        pipeline("translation_en_to_de")("Good morning")


RETURN_ALL = "return_all_scores is an old option"


@pytest.mark.parametrize(
    ("inputs", "arguments", "labels"),
    [
        (GOOD, {"return_all_scores": True}, [["negative", "positive"]]),
        ([GOOD], {"return_all_scores": True}, [["negative", "positive"]]),
        (GOOD, {"return_all_scores": False}, ["positive"]),
        ([GOOD], {"return_all_scores": False}, ["positive"]),
        (GOOD, {"return_all_scores": True, "top_k": 1}, ["positive"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("at_the_call", [True, False])
def test_return_all_scores_gives_all_labels_in_the_order_of_ids(
    inputs: Any, arguments: dict[str, Any], labels: list[Any], at_the_call: bool
) -> None:
    def names(answer: Any) -> Any:
        return answer["label"] if isinstance(answer, dict) else [names(part) for part in answer]

    given, preset = (arguments, {}) if at_the_call else ({}, arguments)
    if "top_k" in preset:
        labels = [labels]
    with pytest.warns(FutureWarning, match=RETURN_ALL):
        answer = pipeline("sentiment-analysis", device="cpu", **preset)(inputs, **given)
    assert names(answer) == labels


def test_truncation_keeps_so_many_tokens(pipes: Callable[[str], Pipeline]) -> None:
    sentiment = pipes("sentiment-analysis")
    text = f"{GOOD} and hated every minute of it"

    # [CLS] I loved it [SEP]
    assert sentiment(text, truncation=True, max_length=5) == sentiment(GOOD)
    assert sentiment(text, max_length=5) == sentiment(GOOD)  # as in transformers
    for kept in ({"truncation": False}, {"padding": True}):
        assert sentiment(text, max_length=5, **kept) == sentiment(text)


@pytest.mark.parametrize(
    ("arguments", "strategy"),
    [
        ({"grouped_entities": True}, "simple"),
        ({"grouped_entities": True, "ignore_subwords": True}, "first"),
        ({"grouped_entities": False}, "none"),
        ({"ignore_subwords": True}, "none"),
        ({"aggregation_strategy": "MAX"}, "max"),
        ({"aggregation_strategy": None}, "none"),
        ({"stride": None, "aggregation_strategy": "first"}, "first"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:.*old options:FutureWarning")
def test_old_options_of_ner_choose_a_strategy(
    arguments: dict[str, Any], strategy: str, pipes: Callable[[str], Pipeline]
) -> None:
    text = "Angela Merkel met Schwarzenegger in Berlin."
    wanted = pipes("ner")(text, aggregation_strategy=strategy)

    assert pipes("ner")(text, **arguments) == wanted
    assert pipeline("ner", device="cpu", **arguments)(text) == wanted


def test_old_options_of_ner_that_are_none_are_not_given() -> None:
    text = "Angela Merkel met Schwarzenegger in Berlin."
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        pipe = pipeline("token-classification", device="cpu", aggregation_strategy="max")
        assert pipe(text, grouped_entities=None, ignore_subwords=None) == pipe(text)


def test_truncation_of_a_pair_cuts_the_longer_text(pipes: Callable[[str], Pipeline]) -> None:
    sentiment = pipes("sentiment-analysis")
    pair = {"text": GOOD, "text_pair": LONG}
    # [CLS] I loved it [SEP] I loved it [SEP]
    cut: dict[str, Any] = {"truncation": True, "max_length": 9}

    assert sentiment(pair, **cut) == sentiment({"text": GOOD, "text_pair": GOOD})
    assert sentiment({"text": LONG, "text_pair": LONG}, **cut) == sentiment(pair, **cut)
    assert sentiment(pair, **cut | {"truncation": "only_second"}) == sentiment(pair, **cut)
    with pytest.raises(InputError, match="leaves no room"):
        sentiment(pair, **cut | {"truncation": "only_first"})


def test_ner_reads_long_texts_completely_and_says_so(pipes: Callable[[str], Pipeline]) -> None:
    with pytest.warns(UserWarning, match="truncation is ignored"):
        assert pipes("ner")("Rome", truncation=True) == pipes("ner")("Rome")


def test_a_question_and_its_context_may_be_positional(pipes: Callable[[str], Pipeline]) -> None:
    qa = pipes("question-answering")
    context = "Anna lives in Rome."
    wanted = qa(question="Where does Anna live?", context=context)

    assert qa("Where does Anna live?", context) == wanted
    assert qa("Where does Anna live?", context, padding=True, batch_size=2) == wanted
    with pytest.warns(FutureWarning, match="top_k"):
        assert len(qa("Where does Anna live?", context, topk=2)) == 2
    with pytest.raises(OptionError, match="takes 2 positional"):
        qa("Where?", context, 3)


@pytest.mark.parametrize(
    ("arguments", "same_as"),
    [
        ({"temperature": 0}, {"do_sample": False}),
        ({"temperature": 0.0, "do_sample": False}, {"do_sample": False}),
        ({"temperature": None, "do_sample": False}, {"do_sample": False}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"stop_sequence": "a"}, {"stop": ["a"]}),
        ({"top_k": None}, {"top_k": 0}),
        ({"top_p": None}, {"top_p": 1.0}),
        ({"pad_token_id": 0, "use_cache": True}, {}),
        ({"streamer": None, "return_tensors": False, "batch_size": 2}, {}),
        ({"generation_config": None, "handle_long_generation": None}, {}),
        ({"handle_long_generation": "hole"}, {"truncation": "left"}),
        ({"truncation": True}, {"truncation": "left"}),
        ({"truncation": False, "padding": True}, {"truncation": "error"}),
        ({"clean_up_tokenization_spaces": True, "prefix": ""}, {}),
        ({"max_length": 400}, {}),
        ({"generation_config": {"do_sample": False}}, {"do_sample": False}),
        ({"generation_config": {"top_k": 3}, "top_k": 1}, {"top_k": 1}),
        ({"max_time": 600, "num_beam_groups": 1, "guidance_scale": 1.0}, {}),
        ({"do_sample": True, "top_k": 1, "temperature": 50.0}, {"do_sample": False}),
        ({"top_k": 10**9}, {"top_k": 0}),
        ({"add_special_tokens": True, "output_attentions": False}, {}),
        ({"tokenizer_encode_kwargs": {"truncation": True, "padding": True}}, {}),
        ({"logits_processor": Empty(), "return_offsets_mapping": False}, {}),
        ({"compile_config": None, "skip_special_tokens": True, "num_beam_groups": None}, {}),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:stop_sequence:FutureWarning")
@pytest.mark.filterwarnings("ignore:max_length:UserWarning")
def test_arguments_of_generation(
    arguments: dict[str, Any], same_as: dict[str, Any], pipes: Callable[[str], Pipeline]
) -> None:
    tell = pipes("text-generation")
    common = {"max_new_tokens": 6, "seed": 1}

    assert tell(OPENING, **common, **arguments) == tell(OPENING, **common, **same_as)


@pytest.mark.parametrize(
    "arguments",
    [
        {"streamer": UNKNOWN},
        {"generation_config": UNKNOWN},
        {"logits_processor": [UNKNOWN]},
        {"output_scores": True},
        {"num_beam_groups": 2},
        {"return_tensors": "jax"},
        {"return_tensors": True, "return_full_text": True},
        {"tokenizer_encode_kwargs": {"return_length": True}},
        {"guidance_scale": 1.5},
        {"prefix": 1},
        {"eos_token_id": -1},
        {"suppress_tokens": "a"},
        {"handle_long_generation": "other"},
        {"max_length": "twelve"},
        {"batch_size": "2"},
        {"max_time": 0},
    ],
    ids=str,
)
def test_what_generation_does_not_offer_is_refused(
    arguments: dict[str, Any], pipes: Callable[[str], Pipeline]
) -> None:
    with pytest.raises(OptionError) as caught:
        pipes("text-generation")(OPENING, **arguments)
    assert caught.value.hint


def test_max_length_counts_the_prompt(pipes: Callable[[str], Pipeline]) -> None:
    tell = pipes("text-generation")
    prompts = [OPENING, f"{OPENING} there was a king"]
    sizes = [
        one[0]["details"]["generated_tokens"]
        for one in tell(prompts, details=True, max_length=12, min_length=12, seed=1)
    ]
    prompt_sizes = [12 - size for size in sizes]

    assert prompt_sizes[0] < prompt_sizes[1] < 12
    with pytest.raises(InputError, match=f"has {prompt_sizes[1]} tokens; max_length is"):
        tell(prompts[1], max_length=prompt_sizes[1])
    with pytest.warns(UserWarning, match="max_length is ignored"):
        tell(OPENING, max_length=12, max_new_tokens=2)


def test_max_new_tokens_of_a_call_overrides_the_length_of_the_pipeline() -> None:
    pipe = pipeline("text-generation", device="cpu", max_length=12, do_sample=False)
    plain = pipeline("text-generation", device="cpu", do_sample=False)

    assert pipe(OPENING) == plain(OPENING, max_length=12)
    assert pipe(OPENING, max_new_tokens=2) == plain(OPENING, max_new_tokens=2)


@pytest.mark.parametrize("beams", [1, 2])
def test_a_time_limit_ends_a_text_with_the_next_token(
    beams: int, pipes: Callable[[str], Pipeline]
) -> None:
    common: dict[str, Any] = {"do_sample": False, "num_beams": beams, "details": True}
    [cut] = pipes("text-generation")(OPENING, max_time=1e-9, **common)

    assert cut["details"]["generated_tokens"] == 1
    assert cut["details"]["finish_reason"] == "length"


def test_a_prompt_can_be_cut_for_the_model_only(pipes: Callable[[str], Pipeline]) -> None:
    tell = pipes("text-generation")
    common: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
    size = len(tell.tokenizer.encode(OPENING))
    cut = {"tokenizer_encode_kwargs": {"truncation": True, "max_length": size}}

    [whole] = tell(OPENING, **common)
    [answer] = tell(f"{OPENING} there was a king", **common, **cut)

    new = whole["generated_text"].removeprefix(OPENING)
    assert answer["generated_text"] == f"{OPENING} there was a king{new}"

    common |= {"prompt_length": 3, "truncation": "left", "return_tensors": True}
    [made] = tell(f"{OPENING} there was a king", **common)
    last = tell.tokenizer.encode(f"{OPENING} there was a king")[-2:]
    assert list(made["generated_token_ids"])[1:3] == last
    assert len(made["generated_token_ids"]) == 3 + 4


def test_token_ids_are_returned_instead_of_the_text(pipes: Callable[[str], Pipeline]) -> None:
    tell, translate = pipes("text-generation"), pipes("translation")
    common: dict[str, Any] = {"max_new_tokens": 4, "do_sample": False}
    [text] = tell(OPENING, **common)
    [ids] = tell(OPENING, return_tensors=True, **common)
    assert (
        tell.tokenizer.decode(ids["generated_token_ids"], skip_special_tokens=True)
        == (text["generated_text"])
    )
    with pytest.raises(OptionError, match="a stream consists of text"):
        tell.stream(OPENING, return_tensors=True)

    beams: dict[str, Any] = {"num_beams": 3, "num_return_sequences": 2, "return_tensors": True}
    with pytest.warns(UserWarning, match="arrays of numpy"):
        [one] = translate("Good morning", return_tensors="pt")
    two = translate("Good morning. How are you? Fine.", **beams)
    assert [list(answer) for answer in two] == [["translation_token_ids"]] * 2
    assert one["translation_token_ids"].dtype == "int64"
    assert len({answer["translation_token_ids"].shape for answer in two}) == 1
    assert two[0]["translation_token_ids"].shape > one["translation_token_ids"].shape


def test_an_empty_prompt_begins_with_the_start_token(pipes: Callable[[str], Pipeline]) -> None:
    [answer] = pipes("text-generation")("", max_new_tokens=4, do_sample=False)

    assert answer["generated_text"]
    assert (
        "".join(pipes("text-generation").stream("", max_new_tokens=4, do_sample=False))
        == (answer["generated_text"])
    )


def test_the_lengths_of_a_translation_count_the_start_token(
    pipes: Callable[[str], Pipeline],
) -> None:
    translate = pipes("translation")
    text = "The children play in the garden."

    for arguments in ({"truncation": True}, {"return_text": True}, {"num_beams": None}):
        assert translate(text, **arguments) == translate(text)
    short = translate(text, max_length=4, protect=False)
    assert short == translate(text, max_new_tokens=3, protect=False)
    assert short != translate(text)


@pytest.mark.parametrize("name", ["inputs", "text_inputs"])
def test_inputs_may_be_named_as_in_transformers(
    name: str, pipes: Callable[[str], Pipeline]
) -> None:
    sentiment = pipes("sentiment-analysis")

    assert sentiment(**{name: GOOD}) == sentiment(GOOD)
    assert sentiment(**{name: [GOOD]}) == sentiment([GOOD])
    with pytest.raises(OptionError, match="given twice"):
        sentiment(GOOD, **{name: GOOD})


@pytest.mark.parametrize(
    ("call", "builtin", "own"),
    [
        (lambda: pipeline("nonsense"), KeyError, UnknownTask),
        (lambda: pipeline("ner", "no-such-model"), OSError, ModelNotFound),
        (lambda: pipeline("sentiment")(""), ValueError, InputError),
        (lambda: pipeline("sentiment")("x", top_k=-1), ValueError, OptionError),
        (lambda: pipeline("sentiment")("x", "y"), ValueError, OptionError),
    ],
)
def test_errors_are_caught_as_those_of_transformers(
    call: Callable[[], Any], builtin: type[Exception], own: type[NlplugError]
) -> None:
    with pytest.raises(builtin) as caught:
        call()
    assert isinstance(caught.value, own)
    assert str(caught.value).startswith(caught.value.message)
