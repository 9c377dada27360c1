"""What programs for transformers do by habit: it has its effect, or says what to write."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nlplug import Pipeline, pipeline, set_seed
from nlplug.errors import InputError, MissingAttribute, OptionError

GOOD, BAD = "I loved it", "I hated it"
CONTEXT = "Anna lives in Rome."


class Dtype:
    """As ``torch.float32``."""

    def __str__(self) -> str:
        return "torch.float32"


def test_the_tokenizer_and_the_config_of_the_model_may_be_given() -> None:
    own = SimpleNamespace(name_or_path="sentiment-en")
    with pytest.warns(UserWarning) as caught:
        pipe = pipeline("sentiment-analysis", "sentiment-en", config=own, tokenizer=own)
    with pipe:
        assert pipe(GOOD)[0]["label"] == "positive"
    said = [str(warning.message) for warning in caught]
    assert [one.split(":")[0] for one in said] == ["tokenizer is ignored", "config is ignored"]
    with pytest.raises(OptionError, match="brings its own tokenizer"):
        pipeline("ner", "ner-en", tokenizer=own)


def test_arguments_behind_the_model_may_be_positional() -> None:
    name = "sentiment-en"
    with pipeline("sentiment-analysis", name, None, name, None, None, None, "pt") as pipe:
        assert pipe(GOOD)[0]["label"] == "positive"
    with pytest.raises(OptionError, match="brings its own tokenizer"):
        pipeline("ner", "ner-en", None, "bert-base-cased")
    with pytest.raises(OptionError, match="tokenizer is given twice"):
        pipeline("ner", "ner-en", None, "ner-en", tokenizer="ner-en")
    with pytest.raises(OptionError, match="at most 8 positional"):
        pipeline("ner", "ner-en", *[None] * 6, "main")


def test_the_type_of_the_numbers_equals_that_of_pytorch() -> None:
    with pipeline("sentiment-analysis", device="cpu", precision="int8") as pipe:
        assert pipe.dtype == pipe.model.dtype == "int8" != Dtype()
    from nlplug.model_views import dtype_of

    assert dtype_of("fp32") == Dtype()
    assert dtype_of("fp32") == "float32" != dtype_of("fp16")
    assert {dtype_of("fp32"): 1}["float32"] == 1


def test_a_config_cannot_be_set_without_an_effect(pipes: Callable[[str], Pipeline]) -> None:
    config = pipes("sentiment-analysis").model.config
    config.pad_token_id = 0
    with pytest.raises(MissingAttribute, match="id2label of a model's config") as caught:
        config.id2label = {0: "bad", 1: "good"}
    assert "export" in str(caught.value.hint)


def test_a_tokenizer_takes_a_padding_token_and_nothing_that_would_be_lost() -> None:
    with pipeline("text-generation", device="cpu") as pipe:
        tokenizer: Any = pipe.tokenizer
        tokenizer.pad_token = tokenizer.eos_token
        assert tokenizer.pad_token_id == tokenizer.eos_token_id is not None
    with pipeline("sentiment-analysis", device="cpu") as pipe:
        tokenizer = pipe.tokenizer
        tokenizer.pad_token_id = 1
        assert tokenizer.pad_token == tokenizer.convert_ids_to_tokens(1)
        tokenizer.padding_side = "left"
        assert tokenizer(["a", GOOD], padding=True)["input_ids"][0][0] == 1
        tokenizer.model_max_length = 100_000
        with pytest.raises(MissingAttribute) as caught:
            tokenizer.model_max_length = 8
        assert "truncation=True, max_length=8" in str(caught.value.hint)
        for name in ("src_lang", "chat_template", "truncation_side"):
            with pytest.raises(MissingAttribute, match=f"{name} of a pipeline's tokenizer"):
                setattr(tokenizer, name, "left")
        assert tokenizer.encode_plus(GOOD) == tokenizer(GOOD)
        assert tokenizer.batch_encode_plus([GOOD, BAD]) == tokenizer([GOOD, BAD])


def test_a_dict_of_lists_is_a_list_of_inputs(pipes: Callable[[str], Pipeline]) -> None:
    ask, one = pipes("question-answering"), {"question": "Where?", "context": CONTEXT}
    asked = {"question": ["Where?", "Who?"], "context": [CONTEXT, CONTEXT]}

    assert ask(asked) == ask([one, {**one, "question": "Who?"}])
    assert ask({**asked, "context": CONTEXT}) == ask(asked)
    assert ask({"question": ["Where?"]}, context=CONTEXT) == ask(one)
    sentiment = pipes("sentiment-analysis")
    assert sentiment({"text": [GOOD, BAD]}) == sentiment([GOOD, BAD])
    with pytest.raises(InputError, match="different lengths: question 2, context 1"):
        ask({**asked, "context": [CONTEXT]})


@pytest.mark.parametrize("number", [int, np.int64, np.uint8], ids=["int", "int64", "uint8"])
def test_a_number_of_numpy_is_a_number(
    pipes: Callable[[str], Pipeline], number: Callable[[int], Any]
) -> None:
    sentiment, write = pipes("sentiment-analysis"), pipes("text-generation")
    assert sentiment([GOOD, BAD], batch_size=number(2)) == sentiment([GOOD, BAD])
    with pytest.raises(OptionError, match=r"batch_size is (np\.\w+\()?0"):
        sentiment(GOOD, batch_size=number(0))
    tokenizer = sentiment.tokenizer
    token = tokenizer.convert_tokens_to_ids("good")
    assert tokenizer.convert_ids_to_tokens(number(100)) == tokenizer.convert_ids_to_tokens(100)
    assert tokenizer.decode(np.int64(token)) == "good"
    options = {"max_new_tokens": number(4), "eos_token_id": number(1), "seed": number(3)}
    assert write("Once", **options) == write("Once", max_new_tokens=4, eos_token_id=1, seed=3)
    translate = pipes("translation")
    assert translate("Good morning", max_length=number(9)) == translate(
        "Good morning", max_length=9
    )
    set_seed(number(5))
    first = write("Once", max_new_tokens=4)
    set_seed(5)
    assert write("Once", max_new_tokens=4) == first


@pytest.mark.filterwarnings("ignore:return_all_scores is an old option")
@pytest.mark.parametrize("top_k", [1, None])
def test_top_k_of_a_call_stands_above_the_old_option_of_the_pipeline(top_k: int | None) -> None:
    labels = ["positive", "negative"][:top_k]
    with pipeline("sentiment-analysis", "sentiment-en", return_all_scores=True) as pipe:
        assert [one["label"] for one in pipe(GOOD)[0]] == ["negative", "positive"]
        assert [one["label"] for one in pipe(GOOD, top_k=top_k)] == labels
        assert [[one["label"] for one in row] for row in pipe([GOOD], top_k=top_k)] == [labels]


def test_a_new_name_stands_above_the_old_one(pipes: Callable[[str], Pipeline]) -> None:
    pipe = pipes("question-answering")
    fields = {"question": "Where does Anna live?", "context": CONTEXT}
    with pytest.warns(FutureWarning, match="topk is an old name"):
        assert pipe(**fields, top_k=1, topk=3) == pipe(**fields, top_k=1)


def test_an_argument_by_position_and_by_name_is_refused(pipes: Callable[[str], Pipeline]) -> None:
    with pytest.raises(OptionError, match="question is given twice"):
        pipes("question-answering")("Where?", CONTEXT, question="Who?")


@pytest.mark.filterwarnings("ignore:return_all_scores is an old option")
def test_the_old_option_of_a_call_turns_off_the_one_of_the_pipeline() -> None:
    with pipeline("sentiment-analysis", "sentiment-en", return_all_scores=True) as pipe:
        off = {"return_all_scores": False}
        assert [one["label"] for one in pipe(GOOD, **off)] == ["positive"]
        assert [one["label"] for one in pipe([GOOD], **off)] == ["positive"]
        assert pipe(GOOD, return_all_scores=None)[0][0]["label"] == "negative"


@pytest.mark.parametrize(
    ("text", "special"), [(GOOD, 2), ({"text": GOOD, "text_pair": "Indeed"}, 3)], ids=str
)
def test_a_maximum_length_without_room_for_text_is_refused(
    text: Any, special: int, pipes: Callable[[str], Pipeline]
) -> None:
    pipe = pipes("sentiment-analysis")
    for most in (1, special):
        with pytest.raises(OptionError, match=f"max_length is {most}, .* {special} tokens are"):
            pipe(text, truncation=True, max_length=most)
    pipe(text, truncation=True, max_length=special + 1)
