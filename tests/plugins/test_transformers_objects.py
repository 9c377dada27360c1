"""Inputs, answers and attributes that callers of transformers 4.57 rely on."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlplug import Pipeline, pipeline
from nlplug.errors import (
    BundleIncomplete,
    DeviceError,
    InputError,
    MissingAttribute,
    MissingExtra,
    OptionError,
    UnknownOption,
    UnknownTask,
)

GOOD, BAD = "I loved it", "I hated it"
QUESTION = {"question": "Where does Anna live?", "context": "Anna lives in Rome."}


class Indexed:
    """As ``torch.utils.data.Dataset`` and ``KeyDataset``: no iterator, only items by number."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> Any:
        return self._items[number]


class Example:
    """As ``SquadExample``."""

    question_text = QUESTION["question"]
    context_text = QUESTION["context"]


def pickled(pipe: Pipeline) -> Pipeline:
    """What another process would receive."""
    made: Pipeline = pickle.loads(pickle.dumps(pipe))
    return made


def test_a_dataset_gives_an_iterator_with_a_length(pipes: Callable[[str], Pipeline]) -> None:
    sentiment = pipes("sentiment-analysis")
    answers = sentiment(Indexed(GOOD, BAD), batch_size=2)

    assert len(answers) == 2
    assert [one["label"] for one in answers] == ["positive", "negative"]
    assert next(answers, None) is None


def test_columns_of_a_dataset_that_the_task_does_not_know_are_left_out(
    pipes: Callable[[str], Pipeline],
) -> None:
    rows = ({"text": text, "label": 1, "id": 7} for text in (GOOD, BAD))
    assert len(list(pipes("sentiment-analysis")(rows))) == 2
    rows = ({**QUESTION, "id": "7", "answers": {"text": ["Rome"]}} for _ in range(2))
    assert [one["answer"] for one in pipes("question-answering")(rows)] == ["Rome", "Rome"]
    with pytest.raises(InputError, match="label"):
        pipes("sentiment-analysis")([{"text": GOOD, "label": 1}])


def test_a_dict_has_one_dict_as_answer_under_the_names_of_the_hub(
    pipes: Callable[[str], Pipeline],
) -> None:
    sentiment = pipes("sentiment-analysis")
    plain = sentiment(GOOD)

    assert [sentiment({"text": GOOD})] == plain
    assert len(sentiment({"text": GOOD}, top_k=None)) == 2
    assert pipes("sentiment")({"text": GOOD}) == plain


def test_the_old_form_of_a_pair_is_a_pair(pipes: Callable[[str], Pipeline]) -> None:
    sentiment = pipes("sentiment-analysis")
    with pytest.warns(FutureWarning, match="text_pair"):
        assert sentiment([[[GOOD, BAD]]]) == [sentiment({"text": GOOD, "text_pair": BAD})]


def test_one_question_in_a_list_is_answered_as_one_under_the_name_of_the_hub(
    pipes: Callable[[str], Pipeline],
) -> None:
    asked, wanted = pipes("question-answering"), pipes("qa")(QUESTION)

    assert asked([QUESTION]) == wanted
    assert asked(Example()) == wanted
    assert asked([Example()]) == wanted
    assert asked(question=[QUESTION["question"]], context=QUESTION["context"]) == wanted
    with pytest.warns(FutureWarning, match="give a list"):
        assert asked(QUESTION, QUESTION) == [wanted, wanted]
    with pytest.warns(FutureWarning, match="data is an old name"):
        assert asked(data=QUESTION) == wanted
    assert pipes("qa")([QUESTION]) == [wanted]


def test_the_name_decides_on_the_strategy_of_ner(pipes: Callable[[str], Pipeline]) -> None:
    text = "Angela Merkel met Barack Obama."

    assert "entity_group" in pipes("ner")(text)[0]
    assert pipes("token-classification")(text) == pipes("ner")(text, aggregation_strategy="none")
    simple = pipes("token-classification")(text, aggregation_strategy="simple")
    assert simple == pipes("ner")(text, aggregation_strategy="simple")


def test_a_stream_of_translations_gives_lists_under_the_names_of_the_hub(
    pipes: Callable[[str], Pipeline],
) -> None:
    texts = ["Good morning", "Thank you"]
    hub, own = (list(pipes(name)(iter(texts))) for name in ("translation_en_to_fr", "translation"))
    assert [[sorted(one) for one in answer] for answer in hub] == [[["translation_text"]]] * 2
    assert [sorted(answer) for answer in own] == [["translation_text"]] * 2


def test_text_classification_without_a_model_warns() -> None:
    with pytest.warns(UserWarning, match="sentiment-analysis"):
        pipeline("text-classification", device="cpu").close()


def test_a_chat_object_is_its_messages(pipes: Callable[[str], Pipeline]) -> None:
    class Chat:
        messages = (({"role": "user", "content": "Hello"}),)

    with pytest.raises(InputError, match="chat template"):
        pipes("text-generation")(Chat())


def test_task_device_and_framework_are_texts(pipes: Callable[[str], Pipeline]) -> None:
    pipe = pipes("sentiment-analysis")

    assert json.dumps([pipe.task, pipe.device]) == '["sentiment-analysis", "cpu"]'
    assert (pipe.device.type, pipe.device.index) == ("cpu", None)
    assert (pipe.framework, pipe.dtype) == ("ort", "int8")
    with pytest.warns(FutureWarning, match="dtype"):
        assert pipe.torch_dtype == pipe.dtype
    assert pipe.feature_extractor is None


def test_the_config_is_read_by_attribute(pipes: Callable[[str], Pipeline]) -> None:
    pipe = pipes("sentiment-analysis")
    config = pipe.model.config

    assert config.id2label == {0: "negative", 1: "positive"}
    assert (config.label2id, config.num_labels) == ({"negative": 0, "positive": 1}, 2)
    assert config.model_type == config.to_dict()["model_type"] == "bert"
    assert config.max_position_embeddings > 0
    assert pipe.model.name_or_path == config.name_or_path == str(pipe.bundle.path)
    assert pipe.model.device == "cpu"
    assert not hasattr(config, "nonsense")
    with pytest.raises(MissingAttribute, match="not a module of PyTorch"):
        pipe.model.generate  # type: ignore[attr-defined]  # noqa: B018 - what users may write


def test_the_tokenizer_can_be_called(pipes: Callable[[str], Pipeline]) -> None:
    tokenizer = pipes("sentiment-analysis").tokenizer
    ids = tokenizer.encode(GOOD)

    assert [ids[0], ids[-1]] == [tokenizer.cls_token_id, tokenizer.sep_token_id]
    assert tokenizer.decode(ids, skip_special_tokens=True) == GOOD.lower()
    assert tokenizer.convert_ids_to_tokens(ids)[1:-1] == tokenizer.tokenize(GOOD)
    assert tokenizer.convert_tokens_to_ids(tokenizer.tokenize(GOOD)) == ids[1:-1]
    assert len(tokenizer) == len(tokenizer.get_vocab()) >= tokenizer.vocab_size
    both = tokenizer([GOOD, f"{GOOD} again"], padding=True, return_tensors="np")
    assert both["input_ids"].shape == both["attention_mask"].shape == (2, len(ids) + 1)
    assert both["attention_mask"].sum() == 2 * len(ids) + 1
    assert tokenizer(GOOD, truncation=True, max_length=4)["input_ids"] == [*ids[:3], ids[-1]]
    assert tokenizer(GOOD, add_special_tokens=False)["input_ids"] == ids[1:-1]
    with pytest.raises(OptionError, match="return_tensors"):
        tokenizer(GOOD, return_tensors="pt")
    for name in ("return_offsets_mapping", "is_split_into_words", "nonsense"):
        with pytest.raises(OptionError, match=name):
            tokenizer(GOOD, **{name: True})
    with pytest.raises(MissingAttribute, match="nonsense"):
        tokenizer.nonsense  # noqa: B018 - reading it raises


def test_the_tokenizer_is_that_of_transformers(pipes: Callable[[str], Pipeline]) -> None:
    transformers = pytest.importorskip("transformers")
    pipe = pipes("sentiment-analysis")
    other = transformers.AutoTokenizer.from_pretrained(pipe.bundle.path)
    texts = [GOOD, "Ünïcödé, 你好! 😀", "a" * 300, ""]

    assert pipe.tokenizer(texts) == dict(other(texts))
    assert pipe.tokenizer(texts, padding=True) == dict(other(texts, padding=True))
    assert pipe.tokenizer(GOOD, BAD) == dict(other(GOOD, BAD))
    assert pipe.tokenizer([(GOOD, BAD)]) == dict(other([(GOOD, BAD)]))
    assert pipe.tokenizer(GOOD).input_ids == other(GOOD).input_ids
    padded = {"padding": "max_length", "max_length": 20, "truncation": True}
    assert pipe.tokenizer(texts, **padded) == dict(other(texts, **padded))
    ids = other(texts)["input_ids"]
    assert pipe.tokenizer.batch_decode(ids) == other.batch_decode(ids)
    for name in ("special_tokens_map", "padding_side", "truncation_side"):
        assert getattr(pipe.tokenizer, name) == getattr(other, name)
    for name in ("all_special_tokens", "all_special_ids"):
        assert sorted(getattr(pipe.tokenizer, name)) == sorted(getattr(other, name))
    for name in ("cls", "sep", "pad", "unk", "mask", "bos", "eos"):
        assert getattr(pipe.tokenizer, f"{name}_token") == getattr(other, f"{name}_token")
        assert getattr(pipe.tokenizer, f"{name}_token_id") == getattr(other, f"{name}_token_id")


def test_pairs_are_cut_off_and_read_as_in_transformers(pipes: Callable[[str], Pipeline]) -> None:
    transformers = pytest.importorskip("transformers")
    pipe = pipes("sentiment-analysis")
    ours, theirs = pipe.tokenizer, transformers.AutoTokenizer.from_pretrained(pipe.bundle.path)
    long = f"{BAD} " * 9
    for first, second in ((GOOD, long), (long, GOOD), (GOOD, GOOD), (GOOD, "")):
        for how in (True, "longest_first"):
            cut = {"truncation": how, "max_length": 7}
            assert ours(first, second, **cut) == dict(theirs(first, second, **cut))
        assert ours(first, second) == dict(theirs(first, second))
    cut = {"truncation": "only_second", "max_length": 12}
    assert ours(GOOD, long, **cut) == dict(theirs(GOOD, long, **cut))
    assert ours([GOOD, BAD], [long, GOOD]) == dict(theirs([GOOD, BAD], [long, GOOD]))
    assert ours.tokenize(GOOD, BAD) == theirs.tokenize(GOOD, BAD)
    ids = ours.encode(GOOD)
    assert ours.convert_ids_to_tokens(ids, skip_special_tokens=True) == ours.tokenize(GOOD)
    assert ours.decode(np.int64(ids[1])) == ours.decode(ids[1]) == ours.decode(np.array(ids[1]))
    assert ours.decode(ids, clean_up_tokenization_spaces=False) == theirs.decode(ids)


@pytest.mark.parametrize(
    "call",
    [
        lambda tokenizer: tokenizer(3),
        lambda tokenizer: tokenizer(None),
        lambda tokenizer: tokenizer([[GOOD, BAD, GOOD]]),
        lambda tokenizer: tokenizer([(GOOD,)]),
        lambda tokenizer: tokenizer([GOOD, BAD], GOOD),
        lambda tokenizer: tokenizer([GOOD, BAD], [GOOD]),
        lambda tokenizer: tokenizer(GOOD, [BAD, GOOD]),
        lambda tokenizer: tokenizer(GOOD, truncation="second"),
        lambda tokenizer: tokenizer.encode([GOOD, BAD]),
        lambda tokenizer: tokenizer.decode(["a"]),
        lambda tokenizer: tokenizer.decode([[5, 6]]),
        lambda tokenizer: tokenizer.decode([-1]),
        lambda tokenizer: tokenizer.decode(7.5),
    ],
)
def test_what_is_no_text_and_no_ids_is_refused(
    call: Callable[[Any], Any], pipes: Callable[[str], Pipeline]
) -> None:
    with pytest.raises((InputError, OptionError), match=r" is | has "):
        call(pipes("sentiment-analysis").tokenizer)


def test_an_empty_second_text_is_none(pipes: Callable[[str], Pipeline]) -> None:
    pipe = pipes("text-classification")
    assert pipe({"text": GOOD, "text_pair": ""}, top_k=None) == pipe({"text": GOOD}, top_k=None)
    assert pipe({"text": GOOD, "text_pair": BAD}, top_k=1) != pipe({"text": GOOD}, top_k=1)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
@pytest.mark.parametrize(
    ("name", "options", "inputs"),
    [
        ("sentiment-analysis", {"top_k": None}, GOOD),
        ("token-classification", {}, "Angela Merkel"),
        ("translation_en_to_fr", {"max_new_tokens": 8}, "Good morning"),
    ],
)
def test_pipelines_can_be_copied_and_pickled(
    again: Callable[[Pipeline], Pipeline], name: str, options: dict[str, Any], inputs: str
) -> None:
    with pipeline(name, device="cpu", threads=1, **options) as pipe:
        wanted = pipe(inputs)
        with again(pipe) as other:
            assert other is not pipe
            assert (other.task, other.defaults) == (pipe.task, pipe.defaults)
            assert other(inputs) == wanted


def test_the_model_is_saved_and_loaded(pipes: Callable[[str], Pipeline], tmp_path: Path) -> None:
    pipe = pipes("sentiment-analysis")
    pipe.save_pretrained(tmp_path / "copy", safe_serialization=True)

    with pipeline("sentiment-analysis", tmp_path / "copy", device="cpu") as other:
        assert other(GOOD) == pipe(GOOD) == pipe.predict(GOOD) == pipe.transform(GOOD)
    with pytest.raises(OptionError, match="exists"):
        pipe.save_pretrained(tmp_path / "copy")


def test_what_a_pipeline_does_not_have_says_what_to_write(
    pipes: Callable[[str], Pipeline],
) -> None:
    pipe = pipes("sentiment-analysis")
    with pytest.raises(AttributeError, match=r"TaskModel has encode"):
        pipe.preprocess(GOOD)  # type: ignore[attr-defined] # what users may write
    with pytest.raises(AttributeError, match="save_pretrained"):
        pipe.push_to_hub("me/model")  # type: ignore[attr-defined] # what users may write
    assert not hasattr(pipe, "nonsense")
    with pipe.device_placement():
        pipe.check_model_type([])


def test_the_options_in_force_are_the_generation_config(
    pipes: Callable[[str], Pipeline],
) -> None:
    config = pipes("text-generation").generation_config
    assert (config.do_sample, config.max_new_tokens) == (True, 256)


@pytest.mark.parametrize(
    ("call", "kinds"),
    [
        (lambda: pipeline("nonsense"), (UnknownTask, KeyError, RuntimeError)),
        (lambda: pipeline(), (UnknownTask, KeyError, RuntimeError)),
        (lambda: pipeline("ner", device="tpu"), (DeviceError, RuntimeError, ValueError)),
        (lambda: pipeline("ner", nonsense=1), (UnknownOption, TypeError, ValueError)),
    ],
)
def test_errors_derive_from_the_built_in_ones(
    call: Callable[[], Any], kinds: tuple[type[Exception], ...]
) -> None:
    for kind in kinds:
        with pytest.raises(kind):
            call()


def test_an_incomplete_model_is_an_os_error_and_a_missing_extra_an_import_error(
    tmp_path: Path,
) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OSError) as caught:
        pipeline("ner", tmp_path)
    assert isinstance(caught.value, BundleIncomplete)
    assert issubclass(MissingExtra, ImportError)
