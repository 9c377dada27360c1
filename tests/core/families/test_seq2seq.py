"""Tasks that write a text anew: shapes, what the model says of decoding, streams, bad input."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from nlplug import Bundle, Pipeline
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.families.seq2seq import Seq2SeqTask
from nlplug.families.seq2seq.model import Seq2SeqModel
from nlplug.testing import tiny_text_classifier, tiny_translator
from nlplug.text.characters import without_spaces

WORDS = {"the": "", "a": "one", "cat": "chat", "dog": "chien", "sees": "voit"}


class Rewriting(Seq2SeqTask):
    name = "rewriting"
    title = "Rewriting"
    description = "The same in other words."
    hub_task = "summarization"
    answer_key = "summary_text"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_translator(tmp_path_factory.mktemp("rewriter"), WORDS, max_length=48)


@pytest.fixture(scope="module")
def write(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(Rewriting(), bundle, threads=2) as pipe:
        yield pipe


def test_one_input_gives_a_list_and_several_give_a_dict_each(write: Pipeline) -> None:
    assert write("a cat") == [{"summary_text": "one chat"}]
    assert write(["a cat", "the dog"]) == [{"summary_text": "one chat"}, {"summary_text": "chien"}]
    assert list(write.map(["a dog"])) == [{"summary_text": "one chien"}]


def test_several_versions_of_several_inputs_are_lists(write: Pipeline) -> None:
    many = write(["a cat", "a dog"], num_beams=3, num_return_sequences=2)
    assert [len(versions) for versions in many] == [2, 2]
    assert [versions[0]["summary_text"] for versions in many] == ["one chat", "one chien"]


def test_the_shape_of_an_answer_is_that_of_the_key() -> None:
    from pydantic import TypeAdapter

    schema = TypeAdapter(Rewriting.Output).json_schema()
    answer = schema["$defs"]["SummaryText"]
    assert list(answer["properties"]) == ["summary_text", "details"]
    assert answer["required"] == ["summary_text"]


def test_many_inputs_are_answered_in_order_on_several_threads(write: Pipeline) -> None:
    texts = [" ".join(["a", "cat"] * (1 + number % 7)) for number in range(200)]
    answers = [answer["summary_text"] for answer in write(texts)]
    assert answers == [text.replace("a ", "one ").replace("cat", "chat") for text in texts]


def test_a_stream_ends_with_its_reason_and_joins_to_the_answer(write: Pipeline) -> None:
    pieces = list(write.pieces("a cat sees a dog"))
    assert "".join(piece.text for piece in pieces) == "one chat voit one chien"
    assert pieces[-1].finish == "eos"
    short = list(write.pieces("a cat sees a dog", max_new_tokens=2))
    assert "".join(piece.text for piece in short) == "one chat"
    assert short[-1].finish == "length"


def test_details_tell_why_a_text_ended(write: Pipeline) -> None:
    def ends(answers: list[dict[str, Any]]) -> list[tuple[str, int]]:
        found = [one["details"] for one in answers]
        return [(one["finish_reason"], one["generated_tokens"]) for one in found]

    text = "a cat sees a dog"
    assert ends(write(text, details=True)) == [("eos_token", 6)]
    with pytest.warns(UserWarning, match="ended at max_new_tokens"):
        assert ends(write([text, "a"], max_new_tokens=2, details=True)) == [
            ("length", 2),
            ("eos_token", 2),
        ]
    assert ends(write(text, stop=["voit"], details=True))[0][0] == "stop_sequence"
    seeded = write(text, do_sample=True, seed=7, details=True)[0]
    assert seeded["details"]["seed"] == 7
    assert "details" not in write(text)[0]
    ids = write(text, return_tensors=True, details=True)[0]
    assert ids["details"]["finish_reason"] == "eos_token"


def test_each_version_has_its_own_end(write: Pipeline) -> None:
    with pytest.warns(UserWarning, match="ended at max_new_tokens"):
        found = write("a cat", num_beams=4, num_return_sequences=4, max_new_tokens=3, details=True)
    reasons = [one["details"]["finish_reason"] for one in found]
    assert reasons == ["eos_token", "length", "length", "length"]


def test_texts_without_an_end_are_told_once_for_a_call(write: Pipeline) -> None:
    texts = ["a cat sees a dog", "a", "a dog sees a cat"]
    with pytest.warns(UserWarning) as caught:
        write(texts, max_new_tokens=2)
    assert [str(one.message) for one in caught] == [
        "2 texts ended at max_new_tokens (2). Give a larger one for the whole text."
    ]
    with pytest.warns(UserWarning, match=r"^A text ended at max_new_tokens \(2\)"):
        list(write.stream(texts[0], max_new_tokens=2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(texts)
        list(write.stream(texts[0]))


def test_texts_that_end_at_the_context_are_told(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, WORDS, max_length=48, config={"max_position_embeddings": 4})
    with (
        Pipeline(Rewriting(), made, threads=1) as pipe,
        pytest.warns(UserWarning, match="ended at the model's context of 4 tokens. Give shorter"),
    ):
        pipe("a a a", min_new_tokens=4)


def test_a_stream_that_is_closed_decodes_no_further(write: Pipeline) -> None:
    stream = write.stream("a cat sees a dog")
    assert next(stream) == "one"
    stream.close()
    assert list(stream) == []


def test_only_one_version_can_be_streamed(write: Pipeline) -> None:
    with pytest.raises(OptionError, match="num_return_sequences is 2"):
        write.stream("a cat", num_beams=2, num_return_sequences=2)


def test_stop_texts_end_the_answer(write: Pipeline) -> None:
    assert write("a cat sees a dog", stop=[" voit"]) == [{"summary_text": "one chat"}]


def test_a_prefix_constraint_is_told_the_number_of_the_input(
    write: Pipeline, bundle: Bundle
) -> None:
    from nlplug.runtime.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(bundle)
    (one,), (dog,) = tokenizer.ids("one"), tokenizer.ids("chien")

    def allowed(number: int, ids: np.ndarray) -> list[int]:
        return [dog if number % 2 else one]

    options = {"prefix_allowed_tokens_fn": allowed, "max_new_tokens": 2}
    answers = write(["the cat sees"] * 50, **options)
    assert [answer["summary_text"] for answer in answers] == ["one one", "chien chien"] * 25
    assert "".join(write.stream("the dog", **options)) == "one one"


def test_drawn_texts_repeat_with_their_seed(write: Pipeline) -> None:
    options = {"do_sample": True, "temperature": 5.0, "top_k": 0, "num_return_sequences": 3}
    first, again, other = (write("a cat sees", seed=seed, **options) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_text_without_words_is_refused(write: Pipeline, text: str) -> None:
    with pytest.raises(InputError, match="It is empty: give a text"):
        write(text)


def test_a_text_longer_than_the_window_is_refused_or_cut(write: Pipeline) -> None:
    text = " ".join(["a cat"] * 40)
    with pytest.raises(InputError, match="80 tokens; .* room for 47") as error:
        write(text)
    assert "longest_first" in str(error.value.hint)
    (answer,) = write(text, truncation="longest_first")
    assert answer["summary_text"].split() == (["one", "chat"] * 40)[:47]
    assert write("a cat", truncation=True) == write("a cat")


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not a text-to-text model"):
        Pipeline(Rewriting(), tiny_text_classifier(tmp_path))


def in_two_files(folder: Path) -> Path:
    """A model whose decoder is in two files, one for the first step and one for all others."""
    made = tiny_translator(folder, WORDS).path / "onnx"
    (merged,) = made.glob("decoder_model_merged.onnx")
    model = onnx.load(str(merged))
    (flag,) = (value for value in model.graph.input if value.name == "use_cache_branch")
    model.graph.input.remove(flag)
    for name in ("decoder_model", "decoder_with_past_model"):
        onnx.save(model, str(made / f"{name}.onnx"))
    merged.unlink()
    return made


def test_a_decoder_in_two_files_answers_as_one_in_one_file(write: Pipeline, tmp_path: Path) -> None:
    made = in_two_files(tmp_path)
    with Pipeline(Rewriting(), Bundle.open(tmp_path), threads=1) as pipe:
        texts = ["a cat sees a dog", "the dog"]
        assert pipe(texts) == write(texts)
        assert pipe(texts, num_beams=2) == write(texts, num_beams=2)
    (made / "decoder_with_past_model.onnx").unlink()
    with pytest.raises(BundleError, match=r"lacks a graph .*decoder_model, encoder_model"):
        Pipeline(Rewriting(), Bundle.open(tmp_path))


def test_graphs_without_a_common_precision_are_named(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, WORDS).path / "onnx"
    (made / "encoder_model.onnx").rename(made / "encoder_model_quantized.onnx")
    with pytest.raises(BundleError, match=r"merged in fp32, encoder_model in int8"):
        Pipeline(Rewriting(), Bundle.open(tmp_path))


@pytest.mark.parametrize(
    ("generation", "start"),
    [
        ({"decoder_start_token_id": 3, "bos_token_id": 2}, 3),
        ({"bos_token_id": 2}, 2),
        ({"decoder_start_token_id": None, "pad_token_id": 0}, 5),
        (None, 5),
    ],
)
def test_texts_begin_with_the_token_of_transformers(
    generation: dict[str, Any] | None, start: int, tmp_path: Path
) -> None:
    config = {"decoder_start_token_id": 5, "bos_token_id": 4}
    made = tiny_translator(tmp_path, WORDS, config=config)
    (tmp_path / "generation_config.json").unlink(missing_ok=True)
    if generation is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    assert Seq2SeqModel(Bundle.open(made.path), "summarization").start_token() == start


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    small = tiny_translator(tmp_path, {"x": "y"})
    (small.path / "tokenizer.json").write_bytes(_grown(bundle.path / "tokenizer.json"))
    with pytest.raises(BundleError, match="its graph has"), Pipeline(Rewriting(), small) as pipe:
        pipe("a cat")


def _grown(path: Path) -> bytes:
    """The same vocabulary with words that no small graph has."""
    settings = json.loads(path.read_bytes())
    settings["model"]["vocab"] += [[f"word{number}", -9.0] for number in range(500)]
    return json.dumps(settings).encode()


def wishes(folder: Path, generation: dict[str, Any], **config: object) -> dict[str, Any]:
    made = tiny_translator(folder, WORDS, config=config)
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    with Pipeline(Rewriting(), Bundle.open(made.path), threads=1) as pipe:
        return pipe.defaults


def test_what_the_model_says_of_decoding_is_the_default(tmp_path: Path) -> None:
    said = {"num_beams": 4, "max_length": 33, "length_penalty": 0.8, "no_repeat_ngram_size": 2}
    assert wishes(tmp_path, said) == {
        "num_beams": 4,
        "max_new_tokens": 32,
        "length_penalty": 0.8,
        "no_repeat_ngram_size": 2,
    }


def test_what_it_says_of_the_task_comes_first(tmp_path: Path) -> None:
    own = {"summarization": {"max_length": 21, "min_length": 5, "num_beams": 2, "prefix": "the "}}
    found = wishes(tmp_path, {"max_length": 40}, task_specific_params=own)
    assert found == {"max_new_tokens": 20, "min_new_tokens": 4, "num_beams": 2}


def test_the_prefix_of_the_task_stands_before_the_text(tmp_path: Path) -> None:
    own = {"summarization": {"prefix": "cat "}, "translation_en_to_fr": {"prefix": "dog "}}
    made = tiny_translator(tmp_path, WORDS, config={"task_specific_params": own})
    with Pipeline(Rewriting(), made, threads=1) as pipe:
        assert pipe("dog") == [{"summary_text": "chat chien"}]


def test_spaces_before_marks_can_be_removed() -> None:
    kind = pytest.importorskip("transformers").PreTrainedTokenizerBase
    other = kind.__new__(kind)  # a method in transformers 5, which reads nothing of its object

    text = "It 's late , is n't it ? I 'm sure ' yes ' ! They 've gone ."
    assert without_spaces(text) == other.clean_up_tokenization(text)


def test_the_last_piece_is_the_last_token_and_says_why_the_text_ended(write: Pipeline) -> None:
    *before, last = write.pieces("a cat sees the dog")
    assert all(piece.ids and piece.finish is None for piece in before)
    assert (last.finish, len(last.ids)) == ("eos", 1)
    assert sum(len(piece.ids) for piece in (*before, last)) == last.tokens


@pytest.mark.parametrize("count", [1, 40], ids=["one batch", "several"])
def test_answers_that_nobody_wants_end_in_the_middle_of_a_text(write: Pipeline, count: int) -> None:
    longest = 0

    def allowed(_: int, ids: Any) -> list[int]:
        nonlocal longest
        longest = max(longest, len(ids))
        if len(ids) > 3:
            answers.cancel()
        return [5, 6]

    constraint = {"prefix_allowed_tokens_fn": allowed, "max_new_tokens": 40, "min_new_tokens": 40}
    answers: Any = write.answers(["the cat"] * count, num_beams=1, **constraint)
    with pytest.raises(CancelledError):
        next(answers)
    assert longest == 4


def test_the_least_length_of_the_model_yields_to_a_smaller_limit(tmp_path: Path) -> None:
    made = tiny_translator(tmp_path, WORDS)
    settings = {"min_length": 9, "max_length": 40}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings), encoding="utf-8")
    with Pipeline(Rewriting(), Bundle.open(made.path), threads=1) as pipe:
        for limit in ({"max_new_tokens": 2}, {"max_length": 3}):
            assert pipe("a cat sees the dog", **limit) == [{"summary_text": "one chat"}]
        with pytest.raises(OptionError, match="min_new_tokens is 4, above max_new_tokens, 2"):
            pipe("a cat sees the dog", max_new_tokens=2, min_new_tokens=4)
