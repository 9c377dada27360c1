"""Which labels are answered: a threshold, several labels, and abstaining when unsure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nlplug import Pipeline
from nlplug.cli.main import main
from nlplug.errors import BundleError, InputError, OptionError
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier
from nlplug_classification.task import ClassificationTask

# A text of one word has a third of that word's weights as logits: two special tokens weigh nothing.
TOPICS = {
    "ball": (9.0, -9.0, -9.0),
    "vote": (-9.0, 9.0, -9.0),
    "match": (3.0, 1.5, -9.0),
    "rain": (0.0, 0.0, 0.0),
    "hm": (0.0, 0.0, 0.0),
}
INTENTS = {
    "alarm": (12.0, 0.0, 0.0),
    "joke": (0.0, 12.0, 0.0),
    "moon": (0.0, 0.0, 12.0),
    "hm": (0.0, 0.0, 0.0),
}

Make = Callable[..., Pipeline]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A pipeline of a tiny model; keywords are further options that the model brings."""
    opened: list[Pipeline] = []

    def build(bundle: Bundle, own: dict[str, Any] | None = None, **options: Any) -> Pipeline:
        if own is not None:
            from nlplug.models.manifest import Manifest

            manifest = Manifest(name="tiny", labels=bundle.labels, options=own)
            bundle = replace(bundle, manifest=manifest)
        opened.append(Pipeline(ClassificationTask(), bundle, threads=1, options=options))
        return opened[-1]

    yield build
    for pipe in opened:
        pipe.close()


@pytest.fixture
def topics(tmp_path: Path) -> Bundle:
    """A model that gives a text each of its labels or not."""
    return tiny_text_classifier(
        tmp_path / "topics",
        TOPICS,
        labels=("sports", "politics", "weather"),
        config={"problem_type": "multi_label_classification"},
    )


@pytest.fixture
def intents(tmp_path: Path) -> Bundle:
    """A model that gives a text one label, of which one stands for all that fits no other."""
    return tiny_text_classifier(tmp_path / "intents", INTENTS, labels=("wake", "laugh", "oos"))


def labels(answer: Any) -> list[str]:
    return [item["label"] for item in answer]


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


# --- several labels ---------------------------------------------------------------------------


def test_each_label_of_a_multi_label_model_has_a_probability_of_its_own(
    make: Make, topics: Bundle
) -> None:
    answer = make(topics)("match", top_k=None)
    assert labels(answer) == ["sports", "politics", "weather"]
    wanted = [sigmoid(1.0), sigmoid(0.5), sigmoid(-3.0)]
    assert [item["score"] for item in answer] == pytest.approx(wanted, abs=1e-6)


def test_a_threshold_leaves_out_the_labels_below_it(make: Make, topics: Bundle) -> None:
    pipe = make(topics)
    assert labels(pipe("match", top_k=None, threshold=0.5)) == ["sports", "politics"]
    assert labels(pipe("match", top_k=None, threshold=0.7)) == ["sports"]
    assert labels(pipe("match", top_k=1, threshold=0.5)) == ["sports"]


def test_no_label_at_all_is_an_answer(make: Make, topics: Bundle) -> None:
    assert make(topics)("match", top_k=None, threshold=0.9) == []


def test_with_a_threshold_each_text_of_a_list_has_a_list(make: Make, topics: Bundle) -> None:
    answers = make(topics)(["ball", "match"], threshold=0.9)
    assert [labels(answer) for answer in answers] == [["sports"], []]
    answers = make(topics, threshold=0.9)(["ball", "match"])
    assert [labels(answer) for answer in answers] == [["sports"], []]
    assert list(make(topics).map(["match"], threshold=0.9)) == [[]]


def test_a_score_that_equals_the_threshold_is_enough(make: Make, topics: Bundle) -> None:
    pipe = make(topics)
    exact = pipe("match")[0]["score"]
    assert labels(pipe("match", threshold=exact)) == ["sports"]
    assert pipe("match", threshold=math.nextafter(exact, 1)) == []


def test_a_model_may_bring_how_it_is_used_and_the_caller_wins(make: Make, topics: Bundle) -> None:
    pipe = make(topics, own={"top_k": None, "threshold": 0.5})
    assert labels(pipe("match")) == ["sports", "politics"]
    assert [labels(answer) for answer in pipe(["ball", "match"])] == [
        ["sports"],
        ["sports", "politics"],
    ]
    assert labels(pipe("match", threshold=0.7)) == ["sports"]
    assert labels(pipe("match", threshold=0)) == ["sports", "politics", "weather"]


# --- abstaining -------------------------------------------------------------------------------


def test_nothing_is_left_out_and_nobody_abstains_by_default(make: Make, intents: Bundle) -> None:
    pipe = make(intents)
    assert labels(pipe("moon")) == ["oos"], "a label like any other"
    assert labels(pipe("hm")) == ["wake"]
    assert len(pipe("alarm", top_k=None)) == 3


def test_an_unsure_model_answers_with_the_abstaining_label_alone(
    make: Make, intents: Bundle
) -> None:
    pipe = make(intents, min_score=0.5)
    best = math.exp(4) / (math.exp(4) + 2)
    assert pipe("alarm") == [{"label": "wake", "score": pytest.approx(best)}]
    assert pipe("hm") == [{"label": "none", "score": pytest.approx(2 / 3), "abstained": True}]
    assert labels(pipe("hm", threshold=0.9)) == ["none"]


def test_the_scores_of_an_abstaining_answer_are_there_on_request(
    make: Make, intents: Bundle
) -> None:
    pipe = make(intents, min_score=0.5)
    assert labels(pipe("hm", top_k=None)) == ["none", "wake", "laugh", "oos"]
    assert labels(pipe("hm", top_k=2)) == ["none", "wake"]
    answer = pipe("hm", top_k=None, abstain_label="oos")
    assert labels(answer) == ["oos", "wake", "laugh"], "each label once"
    assert [item.get("abstained") for item in answer] == [True, None, None]


def test_an_earlier_name_of_the_option_is_understood(make: Make, intents: Bundle) -> None:
    with pytest.warns(FutureWarning, match="use min_score"):
        assert labels(make(intents)("hm", abstain_below=0.5)) == ["none"]
    assert labels(make(intents, own={"abstain_below": 0.5})("hm")) == ["none"]


def test_logits_abstain_by_the_probabilities_of_the_model(make: Make, intents: Bundle) -> None:
    pipe = make(intents, min_score=0.5, function_to_apply="none")
    assert pipe("hm") == make(intents, min_score=0.5)("hm")
    [sure] = pipe("moon moon")
    assert sure == make(intents, function_to_apply="none")("moon moon")[0]


def test_a_model_without_probabilities_cannot_abstain(make: Make, tmp_path: Path) -> None:
    weights, problem = {"moon": (3.0, 1.0)}, {"problem_type": "regression"}
    prices = tiny_text_classifier(tmp_path, weights, labels=("low", "high"), config=problem)
    with pytest.raises(OptionError, match="not probabilities"):
        make(prices, min_score=0.5)("moon")
    assert make(prices, min_score=0)("moon")[0]["score"] == 3.0 / 3


def test_all_scores_are_those_of_an_abstaining_answer_too(make: Make, intents: Bundle) -> None:
    answers = make(intents, min_score=0.5, return_all_scores=True)("hm")
    assert len(answers[0]) == 1 + len(intents.labels)


def test_the_abstaining_label_can_be_named(make: Make, intents: Bundle) -> None:
    pipe = make(intents, min_score=0.5)
    assert labels(pipe("hm", abstain_label="ask a human")) == ["ask a human"]


def test_a_models_own_label_for_what_fits_no_other_counts_as_abstaining(
    make: Make, intents: Bundle
) -> None:
    pipe = make(intents, abstain_label="oos", min_score=0.01)
    best = 1 / (math.exp(4) + 2)
    wanted = {"label": "oos", "score": pytest.approx(1 - best), "abstained": True}
    assert pipe("moon") == [wanted]
    assert labels(pipe("alarm")) == ["wake"]
    # Sure that it fits no other is not sure of a label.
    assert labels(make(intents, abstain_label="oos", min_score=0.9)("moon")) == ["oos"]


def test_a_multi_label_model_may_abstain_instead_of_giving_no_label(
    make: Make, topics: Bundle
) -> None:
    pipe = make(topics, own={"top_k": None, "threshold": 0.5, "min_score": 0.5})
    assert labels(pipe("match")) == ["sports", "politics"]
    assert pipe("rain vote") != []
    assert labels(pipe("rain")) == ["sports", "politics", "weather"], "one half is no less"
    assert labels(pipe("rain", min_score=0.6, top_k=1)) == ["none"]


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_a_blank_text_is_refused(make: Make, intents: Bundle, text: str) -> None:
    for options in ({}, {"min_score": 0.1}):
        with pytest.raises(InputError, match="text is"):
            make(intents, **options)(text)


def test_the_tuned_confidence_of_a_model_can_be_switched_off(make: Make, intents: Bundle) -> None:
    pipe = make(intents, own={"min_score": 0.5, "abstain_label": "oos"})
    assert labels(pipe("hm")) == ["oos"]
    assert labels(pipe("hm", min_score=0)) == ["wake"]
    assert [answer["label"] for answer in pipe(["hm", "joke"])] == ["oos", "laugh"]


@settings(max_examples=50, deadline=None)
@given(
    words=st.lists(st.sampled_from(["alarm", "joke", "moon", "hm"]), min_size=1, max_size=6),
    below=st.floats(0, 1),
    threshold=st.floats(0, 1),
    top_k=st.none() | st.integers(1, 4),
)
def test_an_answer_holds_what_the_options_promise(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[str],
    below: float,
    threshold: float,
    top_k: int | None,
) -> None:
    pipe = _shared(tmp_path_factory)
    everything = pipe(" ".join(words), top_k=None)
    answer = pipe(
        " ".join(words), min_score=below, abstain_label="oos", threshold=threshold, top_k=top_k
    )
    best = max(item["score"] for item in everything if item["label"] != "oos")
    if below and (
        best < below or (everything[0]["label"] == "oos" and everything[0]["score"] > best)
    ):
        first = {"label": "oos", "score": pytest.approx(1 - best), "abstained": True}
        others = [item for item in everything[:top_k] if item["score"] >= threshold]
        assert answer == [first, *(one for one in others if one["label"] != "oos")][:top_k]
    else:
        assert answer == [item for item in everything[:top_k] if item["score"] >= threshold]


_PIPES: list[Pipeline] = []


def _shared(folders: pytest.TempPathFactory) -> Pipeline:
    """One pipeline for all examples of a property."""
    if not _PIPES:
        bundle = tiny_text_classifier(
            folders.mktemp("shared"), INTENTS, labels=("wake", "laugh", "oos")
        )
        _PIPES.append(Pipeline(ClassificationTask(), bundle, threads=1))
    return _PIPES[0]


# --- what is wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"threshold": 1.1}, {"threshold": -0.1}, {"min_score": 2}, {"abstain_label": ""}],
)
def test_an_option_out_of_its_bounds_is_an_error(
    make: Make, intents: Bundle, options: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        make(intents)("alarm", **options)


def test_labels_that_do_not_fit_the_weights_are_an_error(make: Make, intents: Bundle) -> None:
    config = json.loads((intents.path / "config.json").read_text())
    config["id2label"] = {"0": "wake", "1": "laugh"}
    (intents.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="gives 3 logits, but its config.json names 2 labels"):
        make(Bundle.open(intents.path))("alarm")


def test_ids_of_labels_with_a_gap_are_an_error(make: Make, intents: Bundle) -> None:
    config = json.loads((intents.path / "config.json").read_text())
    config["id2label"] = {"0": "wake", "1": "laugh", "3": "oos"}
    (intents.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="have the ids 0, 1, 3, not 0 to 2"):
        make(Bundle.open(intents.path))


@pytest.mark.parametrize("text", ["🦘", "e\u0301 \u202eabc", "مرحبا"])
def test_any_text_has_an_answer(make: Make, intents: Bundle, text: str) -> None:
    assert labels(make(intents, min_score=0.5)(text)) == ["none"]


def test_a_million_characters_are_judged_whole(make: Make, tmp_path: Path) -> None:
    pipe = make(
        tiny_text_classifier(
            tmp_path / "long", INTENTS, labels=("wake", "laugh", "oos"), max_length=512
        )
    )
    rare = "hm " * 300_000 + "joke " * 20_000
    assert labels(pipe(rare)) == ["laugh"]
    assert labels(pipe(rare, min_score=0.9)) == ["none"]


def test_a_lone_surrogate_is_an_error_that_names_it(make: Make, intents: Bundle) -> None:
    with pytest.raises(InputError, match="surrogate|Unicode"):
        make(intents)("alarm \ud800")


def test_the_command_line_answers_and_refuses_alike(intents: Bundle) -> None:
    command = ["run", "classification", "hm", "--model", str(intents.path)]
    done = CliRunner().invoke(main, [*command, "--min-score", "0.5"])
    wanted = {"label": "none", "score": pytest.approx(2 / 3), "abstained": True}
    assert json.loads(done.stdout) == wanted
    failed = CliRunner().invoke(main, [*command, "--min-score", "2"])
    assert failed.exit_code != 0
    assert failed.stderr.startswith("Error: Wrong option of the task 'classification'")
