"""Texts that go on from prompts and chats, with a model whose next word hangs on the last alone."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug.errors import (
    BundleError,
    DeviceError,
    DeviceFallbackWarning,
    InputError,
    NlplugError,
    OptionError,
)
from nlplug.families.causal_lm import CausalTask
from nlplug.models.bundle import Bundle
from nlplug.pipelines import Pipeline
from nlplug.testing import tiny_text_classifier, tiny_text_generator, tiny_translator

TALE = "once upon a time there was a time"
GREEDY = {"do_sample": False}
CHAT = "{% for message in messages %}{{ message['content'] }} {% endfor %}"


class TaleTask(CausalTask):
    """Goes on with a tale."""

    name = "tale"
    title = "Tale"
    description = "Goes on with a tale."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_generator(tmp_path_factory.mktemp("tale")).path


@pytest.fixture(scope="module")
def tell(folder: Path) -> Iterator[Pipeline]:
    """Takes the likeliest word each time, unless asked for something else."""
    from nlplug.models.bundle import Bundle

    with Pipeline(TaleTask(), Bundle.open(folder), options={"do_sample": False}) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """Takes chats; its prompt is what all messages hold."""
    bundle = tiny_text_generator(tmp_path_factory.mktemp("chat"), chat_template=CHAT)
    return Pipeline(TaleTask(), bundle, options={"do_sample": False, "max_new_tokens": 2})


def made(tmp_path: Path, /, options: dict[str, Any] | None = None, **model: Any) -> Pipeline:
    return Pipeline(TaleTask(), tiny_text_generator(tmp_path / "model", **model), options=options)


def new(answer: list[dict[str, Any]]) -> list[str]:
    return [one["generated_text"] for one in answer]


def test_an_answer_is_the_prompt_and_what_follows(tell: Pipeline) -> None:
    assert tell("once upon", max_new_tokens=6) == [{"generated_text": TALE}]


def test_the_new_text_alone_is_given_on_request(tell: Pipeline) -> None:
    assert tell("once", max_new_tokens=3, return_full_text=False) == [
        {"generated_text": " upon a time"}
    ]


def test_a_list_of_prompts_has_a_list_of_answers_each(tell: Pipeline) -> None:
    answers = tell(["the", "once upon", "there"], max_new_tokens=2)
    assert answers == [
        [{"generated_text": "the end"}],
        [{"generated_text": "once upon a time"}],
        [{"generated_text": "there was a"}],
    ]


def test_a_stream_of_prompts_is_answered_in_order(tell: Pipeline) -> None:
    prompts = ["the", "once upon a time"] * 40
    answers = list(tell.map(iter(prompts), max_new_tokens=1))
    assert (
        answers
        == [[{"generated_text": text}] for text in ("the end", "once upon a time there")] * 40
    )


def test_pieces_tell_how_far_the_text_is_and_why_it_ends(tell: Pipeline) -> None:
    pieces = list(tell.pieces("the"))
    assert [(piece.text, piece.finish, piece.tokens) for piece in pieces] == [
        (" end", None, 1),
        ("", "eos", 2),
    ]
    assert [piece.finish for piece in tell.pieces("once", max_new_tokens=2)] == [None, "length"]


def test_pieces_hold_their_tokens_and_on_request_the_log_probabilities(tell: Pipeline) -> None:
    told = tell("once", max_new_tokens=5, details=True)[0]["details"]["tokens"]
    # What might become the stop text is held back, so that several tokens make a piece.
    options = {"max_new_tokens": 5, "stop": [" time there xyz"]}
    pieces = list(tell.pieces("once", details=True, **options))
    assert [(piece.text, len(piece.ids)) for piece in pieces] == [
        (" upon", 1),
        (" a", 1),
        (" time there was", 3),
    ]
    assert [token for piece in pieces for token in piece.ids] == [one["id"] for one in told]
    logprobs = [value for piece in pieces for value in piece.logprobs]
    assert logprobs == pytest.approx([one["logprob"] for one in told])
    assert all(piece.ids and not piece.logprobs for piece in tell.pieces("once", **options))


WORDS = st.lists(st.sampled_from(["once", "upon", "a", "time", "the", "king", "zoo"]), min_size=1)
STOPS = st.lists(st.sampled_from(["a t", "end", " ", "time there", "xyz"]), max_size=2)


@settings(max_examples=30, deadline=None)
@given(words=WORDS, stop=STOPS, seed=st.integers(0, 99))
def test_the_pieces_make_up_the_answer(
    tell: Pipeline, words: list[str], stop: list[str], seed: int
) -> None:
    options = {"max_new_tokens": 8, "do_sample": True, "seed": seed, "stop": stop}
    prompt = " ".join(words)
    whole = tell(prompt, return_full_text=False, **options)
    assert new(whole) == ["".join(tell.stream(prompt, **options))]


def test_a_stop_text_ends_the_answer_across_tokens_and_is_not_in_it(tell: Pipeline) -> None:
    answer = tell("once", stop=["time the"], details=True)[0]
    assert answer["generated_text"] == "once upon a "
    assert answer["details"]["finish_reason"] == "stop_sequence"
    assert list(tell.pieces("once", stop=["time the"]))[-1].finish == "stop"


def test_the_context_ends_the_text_with_a_warning(tmp_path: Path) -> None:
    tell = made(tmp_path, max_length=8, options={"do_sample": False})
    short, long = "once upon a", "once upon a time there"
    with pytest.warns(UserWarning, match="A text ended at the model's context of 8 tokens"):
        assert new(tell(short)) == ["once upon a time there was a time there"]
    with pytest.warns(UserWarning, match="limit of 5 new ones"):
        found = tell([short, long], max_new_tokens=5, num_beams=2, details=True)
    assert [texts[0]["details"]["generated_tokens"] for texts in found] == [5, 4]
    with pytest.warns(UserWarning, match="2 texts ended at"):
        tell([short, long], max_new_tokens=7)
    with pytest.warns(UserWarning, match="A text ended at"):
        assert len(list(tell.stream(long, max_new_tokens=7))) == 4


def test_a_text_that_ends_by_itself_or_as_asked_has_no_warning(tmp_path: Path) -> None:
    tell = made(tmp_path, max_length=8, options={"do_sample": False})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tell("the", max_new_tokens=100)
        tell("once upon a", max_new_tokens=6)
        tell(["once upon a", "a time"], max_new_tokens=6, num_beams=2)
        list(tell.stream("once upon a time there was a", max_new_tokens=2))
        tell("once upon a time there was a", stop=["there"], max_length=9)


def test_a_word_that_is_banned_never_comes(tell: Pipeline) -> None:
    assert new(tell("upon a", max_new_tokens=2, bad_words=["time"])) == ["upon a king"]


class TestPrefixConstraints:
    """A function says which tokens may come next."""

    @pytest.fixture
    def ids(self, folder: Path) -> dict[str, int]:
        """Word → its token."""
        found: dict[str, int] = json.loads((folder / "tokenizer.json").read_text())["model"][
            "vocab"
        ]
        return found

    @pytest.mark.parametrize(
        "options", [{}, {"num_beams": 2}, {"do_sample": True, "seed": 1}], ids=str
    )
    def test_only_what_it_allows_comes(
        self, tell: Pipeline, ids: dict[str, int], options: dict[str, Any]
    ) -> None:
        def allowed(number: int, seen: np.ndarray) -> list[int]:
            return [ids["king"] if seen[-1] == ids["a"] else ids["a"]]

        given = {"prefix_allowed_tokens_fn": allowed, "max_new_tokens": 3, **options}
        assert new(tell("once upon", **given)) == ["once upon a king a"]
        if "num_beams" not in options:
            assert list(tell.stream("once upon", **given)) == [" a", " king", " a"]

    def test_it_is_told_the_number_of_the_input_and_its_tokens(
        self, tell: Pipeline, ids: dict[str, int]
    ) -> None:
        seen: dict[int, list[int]] = {}

        def allowed(number: int, tokens: np.ndarray) -> list[int]:
            seen[number] = tokens.tolist()
            return [ids["king"] if number % 2 else ids["end"]]

        prompts = ["once upon a time", "the"] * 20
        answers = tell(prompts, prefix_allowed_tokens_fn=allowed, max_new_tokens=1)
        assert [new(answer)[0].split()[-1] for answer in answers] == ["end", "king"] * 20
        words = ["once", "upon", "a", "time"]
        assert seen == {
            number: [ids[word] for word in (["the"] if number % 2 else words)]
            for number in range(40)
        }

    def test_what_is_no_function_is_refused(self, tell: Pipeline) -> None:
        with pytest.raises(OptionError, match="prefix_allowed_tokens_fn"):
            tell("once", prefix_allowed_tokens_fn=[1])

    def test_it_is_an_option_in_python_alone(self) -> None:
        from nlplug.cli._options import model_options
        from nlplug.server.openapi import task_schemas

        name = "prefix_allowed_tokens_fn"
        assert name in TaleTask.Options.model_fields
        assert name not in [option.name for option in model_options(TaleTask.Options)]
        assert name not in task_schemas(TaleTask())["options"]["properties"]


def test_details_tell_each_token_with_its_log_probability(tell: Pipeline) -> None:
    details = tell("the", details=True)[0]["details"]
    assert (details["finish_reason"], details["generated_tokens"]) == ("eos_token", 2)
    first, last = details["tokens"]
    assert (first["text"], first["special"]) == ("end", False)
    assert (last["text"], last["special"]) == ("<end>", True)
    words = 11  # of the tale, special ones included
    expected = 9.0 - np.log(np.exp(9.0) + words - 1)
    assert first["logprob"] == pytest.approx(expected, abs=1e-4)


def test_beams_find_the_likeliest_texts_best_first(tell: Pipeline) -> None:
    sampled = {"do_sample": True, "seed": 5, "num_beams": 2, "temperature": 9.0}
    assert tell("upon a", **sampled) == tell("upon a", **sampled)
    assert tell("upon a", **sampled) != tell("upon a", num_beams=2)
    several = tell("upon a", num_beams=3, num_return_sequences=2, max_new_tokens=2)
    assert new(several)[0] == "upon a time there"
    assert new(several)[1] == "upon a king"


def test_beams_are_searched_though_the_task_draws_by_default(folder: Path) -> None:
    from nlplug.models.bundle import Bundle

    pipe = Pipeline(TaleTask(), Bundle.open(folder))
    assert new(pipe("the", num_beams=2)) == ["the end"]


def test_what_is_drawn_for_a_prompt_hangs_on_the_seed_and_not_on_the_others(
    tell: Pipeline,
) -> None:
    options = {"do_sample": True, "temperature": 3.0, "seed": 7, "max_new_tokens": 6}
    alone = tell("upon a", num_return_sequences=3, **options)
    among = tell(["the", "once upon a time", "upon a"], num_return_sequences=3, **options)
    assert among[2] == alone
    assert len(set(new(alone))) > 1
    assert tell("upon a", num_return_sequences=3, **{**options, "seed": 8}) != alone


@pytest.mark.parametrize("options", [{"do_sample": False}, {"num_beams": 2}], ids=["one", "beams"])
def test_answers_that_nobody_wants_end_in_the_middle_of_a_text(
    tell: Pipeline, options: dict[str, Any]
) -> None:
    steps: list[int] = []

    def allowed(_: int, ids: Any) -> list[int]:
        steps.append(len(ids))
        if len(ids) > steps[0] + 3:
            answers.cancel()
        return [4, 5]

    constraint = {"prefix_allowed_tokens_fn": allowed, "max_new_tokens": 40, "min_new_tokens": 40}
    answers: Any = tell.answers(["Once"], **constraint, **options)
    with pytest.raises(CancelledError):
        next(answers)
    assert max(steps) == steps[0] + 4


def test_several_threads_share_a_model(tell: Pipeline) -> None:
    prompts = ["once", "upon a", "the", "there was"] * 6
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda prompt: tell(prompt, max_new_tokens=9), prompts))
    assert together == [tell(prompt, max_new_tokens=9) for prompt in prompts]


def test_streams_go_on_side_by_side(tell: Pipeline) -> None:
    first, second = tell.stream("once", max_new_tokens=3), tell.stream("there", max_new_tokens=3)
    assert [a + b for a, b in zip(first, second, strict=True)] == [
        " upon was",
        " a a",
        " time time",
    ]


def test_a_model_that_was_closed_is_loaded_again(tmp_path: Path) -> None:
    tell = made(tmp_path)
    assert new(tell("the", do_sample=False)) == ["the end"]
    tell.close()
    assert new(tell("the", do_sample=False)) == ["the end"]


def test_async_text_is_the_same_and_leaving_ends_it(tell: Pipeline) -> None:
    async def read(limit: int) -> list[str]:
        texts = []
        async with aclosing(tell.astream("once", max_new_tokens=20)) as stream:
            async for text in stream:
                texts.append(text)
                if len(texts) == limit:
                    break
        return texts

    whole = list(tell.stream("once", max_new_tokens=20))
    assert asyncio.run(read(100)) == whole
    assert asyncio.run(read(2)) == whole[:2]


class TestOptionsOfTheModel:
    """What a model wants of decoding, and what of it holds."""

    def test_its_generation_config_stands_above_the_defaults_of_the_task(
        self, folder: Path, tmp_path: Path
    ) -> None:
        bundle = tiny_text_generator(tmp_path)
        wanted = {"do_sample": False, "max_new_tokens": 3, "top_p": None}
        (tmp_path / "generation_config.json").write_text(json.dumps({**wanted, "eos_token_id": 0}))
        tell = Pipeline(TaleTask(), Bundle.open(bundle.path))
        assert tell.defaults == {"do_sample": False, "max_new_tokens": 3}
        assert new(tell("once")) == ["once upon a time"]
        assert new(tell("once", max_new_tokens=1)) == ["once upon"]

    def test_its_least_length_yields_to_a_smaller_limit(self, tmp_path: Path) -> None:
        bundle = tiny_text_generator(tmp_path)
        (tmp_path / "generation_config.json").write_text(json.dumps({"min_new_tokens": 9}))
        tell = Pipeline(TaleTask(), Bundle.open(bundle.path))
        assert new(tell("once", max_new_tokens=1, do_sample=False)) == ["once upon"]

    @pytest.mark.parametrize(
        "setting",
        [
            {"guidance_scale": 1.5},
            {"penalty_alpha": 0.6},
            {"exponential_decay_length_penalty": [3, 1.5]},
            {"sequence_bias": [[[1], -5.0]]},
            {"num_beam_groups": 2},
            {"token_healing": True},
        ],
        ids=lambda setting: next(iter(setting)),
    )
    def test_a_setting_that_would_give_other_texts_is_refused(
        self, setting: dict[str, Any], tmp_path: Path
    ) -> None:
        neutral = {"guidance_scale": 1.0, "num_beam_groups": 1, "sequence_bias": None}
        bundle = tiny_text_generator(tmp_path)
        config = tmp_path / "generation_config.json"
        config.write_text(json.dumps(neutral))
        Pipeline(TaleTask(), Bundle.open(bundle.path))
        config.write_text(json.dumps(setting))
        with pytest.raises(BundleError, match=f"have {next(iter(setting))}=.* not supported"):
            Pipeline(TaleTask(), Bundle.open(bundle.path))

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ({"temperature": -1}, "have temperature=-1: Input should be greater"),
            ({"num_beams": 2.5}, "have num_beams=2.5: Input should be a valid integer"),
            ({"eos_token_id": "x"}, "have eos_token_id='x': Input should be a valid list"),
            ({"bad_words_ids": [["a"]]}, "have bad_words_ids="),
            ({"stop_strings": [""]}, "An empty text is not allowed"),
        ],
        ids=lambda setting: next(iter(setting)),
    )
    def test_a_setting_out_of_its_bounds_is_refused(
        self, setting: dict[str, Any], words: str, tmp_path: Path
    ) -> None:
        bundle = tiny_text_generator(tmp_path)
        (tmp_path / "generation_config.json").write_text(json.dumps(setting))
        with pytest.raises(BundleError, match=words):
            Pipeline(TaleTask(), Bundle.open(bundle.path))

    def test_a_setting_may_need_another_of_the_call(self, tmp_path: Path) -> None:
        bundle = tiny_text_generator(tmp_path)
        (tmp_path / "generation_config.json").write_text('{"min_new_tokens": 300}')
        with pytest.raises(OptionError, match="min_new_tokens is 300, above max_new_tokens"):
            Pipeline(TaleTask(), Bundle.open(bundle.path))
        tell = Pipeline(TaleTask(), Bundle.open(bundle.path), options={"max_new_tokens": 300})
        assert tell.defaults["min_new_tokens"] == 300

    def test_a_length_of_new_text_replaces_its_length_of_prompt_and_text(
        self, tmp_path: Path
    ) -> None:
        bundle = tiny_text_generator(tmp_path)
        (tmp_path / "generation_config.json").write_text('{"max_length": 2, "min_length": 9}')
        bundle = Bundle.open(bundle.path)
        tell = Pipeline(TaleTask(), bundle, options=GREEDY)
        assert new(tell("once", min_new_tokens=0)) == ["once upon"]
        assert new(tell("once upon", max_new_tokens=2, min_new_tokens=0)) == ["once upon a time"]
        short = Pipeline(TaleTask(), bundle, options={**GREEDY, "max_new_tokens": 1})
        assert new(short("once upon a", min_new_tokens=0)) == ["once upon a time"]

    def test_its_end_and_its_bad_words_hold(self, tmp_path: Path) -> None:
        vocabulary = json.loads((made(tmp_path).bundle.path / "tokenizer.json").read_text())
        ids = vocabulary["model"]["vocab"]
        config = {"eos_token_id": [0, ids["was"]], "bad_words_ids": [[ids["upon"]]]}
        tell = made(tmp_path / "other", config=config, options={"do_sample": False})
        assert new(tell("there")) == ["there was"]
        assert "upon" not in new(tell("once", max_new_tokens=2, return_full_text=False))[0]


class TestStopTexts:
    """Texts that end the answer."""

    def test_a_single_text_is_accepted(self, tell: Pipeline) -> None:
        assert tell("once", stop=" time") == tell("once", stop=[" time"])
        assert new(tell("once", stop=" time", return_full_text=False)) == [" upon a"]

    @pytest.mark.parametrize("stop", ["<end>", "end <end>"])
    def test_a_special_token_ends_the_text(self, tmp_path: Path, stop: str) -> None:
        tell = made(tmp_path, config={"eos_token_id": None}, options={"do_sample": False})
        free = tell("the", max_new_tokens=4, details=True)[0]["details"]
        assert (free["finish_reason"], len(free["tokens"])) == ("length", 4)
        (answer,) = tell("the", max_new_tokens=4, stop=[stop], details=True)
        assert answer["generated_text"] == "the end"
        assert answer["details"]["finish_reason"] == "stop_sequence"
        assert [token["text"] for token in answer["details"]["tokens"]] == ["end", "<end>"]
        pieces = list(tell.pieces("the", max_new_tokens=4, stop=stop))
        assert (pieces[-1].finish, pieces[-1].tokens) == ("stop", 2)

    def test_an_unknown_word_does_not_end_it_at_other_unknown_words(self, tmp_path: Path) -> None:
        follows = {"a": {"<unk>": 9.0}, "<unk>": {"b": 9.0}, "b": {"b": 9.0}}
        pipe = Pipeline(TaleTask(), tiny_text_generator(tmp_path, follows), options=GREEDY)
        details = pipe("a", max_new_tokens=3, stop=["never"], details=True)[0]["details"]
        assert details["finish_reason"] == "length"


@pytest.mark.parametrize("beams", [{}, {"num_beams": 1}])
def test_a_temperature_of_0_takes_the_most_likely_tokens(
    folder: Path, tell: Pipeline, beams: dict[str, Any]
) -> None:
    from nlplug.models.bundle import Bundle

    sampling = Pipeline(TaleTask(), Bundle.open(folder))
    for _ in range(3):
        assert sampling("once", temperature=0, max_new_tokens=8, **beams) == tell(
            "once", max_new_tokens=8
        )


class TestBadInput:
    """One clear error each."""

    @pytest.mark.parametrize("prompt", ["", []])
    def test_an_empty_prompt(self, tell: Pipeline, prompt: Any) -> None:
        with pytest.raises(InputError):
            tell({"text": prompt})
        with pytest.raises(InputError):
            tell.stream({"text": prompt})

    def test_a_prompt_longer_than_the_context_is_named_with_both_lengths(
        self, tell: Pipeline
    ) -> None:
        with pytest.raises(InputError, match=r"65 tokens; the model's context is 64") as caught:
            tell("time " * 65)
        assert "truncation" in str(caught.value.hint)

    def test_it_may_be_cut_from_the_left(self, tmp_path: Path) -> None:
        tell = made(tmp_path, max_length=8, options={"do_sample": False, "truncation": "left"})
        prompt = "the " * 20 + "once upon a"
        assert tell(prompt, max_new_tokens=3, return_full_text=False) == [
            {"generated_text": " time there was"}
        ]
        # However much is to be made, half of the context stays.
        with pytest.warns(UserWarning, match="context of 8"):
            longest = tell(prompt, max_new_tokens=100, details=True)[0]["details"]
        assert longest["generated_tokens"] == 8 - 4 + 1

    @pytest.mark.parametrize(
        "options",
        [
            {"num_beams": 2, "stop": ["a"]},
            {"num_beams": 2, "num_return_sequences": 3},
            {"num_return_sequences": 2},
            {"min_new_tokens": 9, "max_new_tokens": 8},
            {"max_new_tokens": 0},
            {"max_new_tokens": -1},
            {"temperature": -1},
            {"temperature": 0, "num_return_sequences": 2},
            {"top_p": 0},
            {"stop": [""]},
            {"truncation": "right"},
            {"no_such": 1},
        ],
    )
    def test_options_that_cannot_be(self, tell: Pipeline, options: dict[str, Any]) -> None:
        with pytest.raises(OptionError):
            tell("once", **options)

    @pytest.mark.parametrize(
        "options", [{"num_beams": 2}, {"num_return_sequences": 2, "do_sample": True}]
    )
    def test_several_texts_cannot_be_streamed(
        self, tell: Pipeline, options: dict[str, Any]
    ) -> None:
        with pytest.raises(OptionError, match="only one text"):
            tell.stream("once", **options)

    def test_control_characters_are_text_like_any_other(self, tell: Pipeline) -> None:
        prompt = "\x00\x07 once\r\n"
        assert new(tell(prompt, max_new_tokens=1)) == [prompt + " upon"]

    def test_text_that_is_no_unicode(self, tell: Pipeline) -> None:
        with pytest.raises(InputError, match="surrogate"):
            tell("once \ud800")

    def test_a_number_is_no_prompt(self, tell: Pipeline) -> None:
        with pytest.raises(InputError):
            tell({"text": 3})

    def test_a_tokenizer_of_another_model(self, tmp_path: Path) -> None:
        long = {f"word{number}": {"end": 1.0} for number in range(30)}
        other = tiny_text_generator(tmp_path / "other", long).tokenizer_file
        tell = made(tmp_path)
        tell.bundle.tokenizer_file.write_bytes(other.read_bytes())
        pipe = Pipeline(TaleTask(), tell.bundle)
        with pytest.raises(BundleError, match=r"has 33 tokens, but its graph has 11"):
            pipe("once")

    def test_a_model_that_makes_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="another task, text classification: .*not a decoder"):
            Pipeline(TaleTask(), tiny_text_classifier(tmp_path))

    def test_a_decoder_that_reads_an_encoder(self, tmp_path: Path) -> None:
        bundle = tiny_translator(tmp_path)
        with pytest.raises(BundleError, match="another task, text-to-text generation"):
            Pipeline(TaleTask(), bundle)

    def test_devices(self, folder: Path) -> None:
        from nlplug.models.bundle import Bundle

        with pytest.raises(DeviceError):
            Pipeline(TaleTask(), Bundle.open(folder), device="tpu")
        with pytest.raises(OptionError, match="threads is 0"):
            Pipeline(TaleTask(), Bundle.open(folder), threads=0)
        with pytest.warns(DeviceFallbackWarning) as caught:
            assert Pipeline(TaleTask(), Bundle.open(folder), device="cuda").device == "cpu"
        assert caught[0].filename == __file__


class TestChats:
    """Prompts that are lists of messages."""

    def test_the_answer_is_the_chat_with_a_new_message(self, chat: Pipeline) -> None:
        asked = [{"role": "user", "content": "once"}]
        assert chat(asked) == [
            {"generated_text": [*asked, {"role": "assistant", "content": " upon a"}]}
        ]
        assert chat(text=asked) == chat(asked)
        assert chat(asked, return_full_text=False) == [{"generated_text": " upon a"}]

    def test_several_chats_and_texts_are_several_inputs(self, chat: Pipeline) -> None:
        asked = [{"role": "user", "content": "once"}]
        assert chat([asked, "the", asked]) == [
            chat(asked),
            [{"generated_text": "the end"}],
            chat(asked),
        ]

    def test_a_message_of_the_assistant_at_the_end_is_continued(self, chat: Pipeline) -> None:
        begun = [{"role": "user", "content": "the"}, {"role": "assistant", "content": "once"}]
        assert chat(begun) == [
            {"generated_text": [begun[0], {"role": "assistant", "content": "once upon a"}]}
        ]
        answered = chat(begun, continue_final_message=False)[0]["generated_text"]
        assert [message["role"] for message in answered] == ["user", "assistant", "assistant"]

    def test_a_stream_gives_the_new_message(self, chat: Pipeline) -> None:
        assert list(chat.stream([{"role": "user", "content": "once"}])) == [" upon", " a"]

    def test_a_message_without_content(self, chat: Pipeline) -> None:
        with pytest.raises(InputError, match="content"):
            chat([{"role": "user"}])

    def test_tools_and_variables_reach_the_template(self, tmp_path: Path) -> None:
        template = "{{ tools[0].name }} {{ word }} {{ messages[0].content[0].text }}"
        pipe = made(tmp_path, chat_template=template, options={**GREEDY, "max_new_tokens": 2})
        asked = [
            {"role": "user", "content": [{"type": "text", "text": "once"}]},
            {"role": "assistant", "content": None, "tool_calls": [{"name": "the"}]},
            {"role": "tool", "content": "there"},
        ]
        given: dict[str, Any] = {"tools": [{"name": "the"}], "chat_template_kwargs": {"word": "a"}}
        expected = [{"generated_text": [*asked, {"role": "assistant", "content": " upon a"}]}]
        assert pipe(asked, **given) == expected
        texts = {name: json.dumps(value) for name, value in given.items()}
        assert pipe(asked, **texts) == expected

    def test_a_message_with_tool_calls_may_lack_its_content(self, tmp_path: Path) -> None:
        template = "{{ messages[0].content }} {{ messages[0].tool_calls[0].name }} once"
        pipe = made(tmp_path, chat_template=template, options={**GREEDY, "max_new_tokens": 1})
        asked = [{"role": "assistant", "tool_calls": [{"name": "the"}]}]
        given: dict[str, Any] = {"continue_final_message": False, "return_full_text": False}
        assert new(pipe(asked, **given)) == [" upon"]

    def test_a_message_of_parts_is_continued(self, tmp_path: Path) -> None:
        template = "{{ messages[0].content[0].text }}"
        pipe = made(tmp_path, chat_template=template, options={**GREEDY, "max_new_tokens": 1})
        begun = [{"role": "assistant", "content": [{"type": "text", "text": "once"}]}]
        assert pipe(begun)[0]["generated_text"] == [
            {"role": "assistant", "content": [{"type": "text", "text": "once upon"}]}
        ]

    def test_a_model_without_a_template(self, tell: Pipeline) -> None:
        with pytest.raises(InputError, match="no chat template"):
            tell([{"role": "user", "content": "once"}])

    @pytest.mark.parametrize(
        ("template", "error"),
        [
            ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
            ("{% if %}", "cannot be read"),
            ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ],
    )
    def test_a_template_that_fails_or_reaches_out(
        self, tmp_path: Path, template: str, error: str
    ) -> None:
        with pytest.raises(NlplugError, match=error):
            made(tmp_path, chat_template=template)([{"role": "user", "content": "once"}])
