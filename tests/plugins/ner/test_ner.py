"""The task as users call it: entities of texts of any length, and clear errors for bad input."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from nlplug import Bundle, Pipeline
from nlplug.cli.main import main
from nlplug.errors import InputError, OptionError
from nlplug.testing import tiny_token_classifier
from nlplug_ner.task import NerTask


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Knows Anna Smith, Paris, Rome and New York; its window has 16 tokens."""
    return tiny_token_classifier(tmp_path_factory.mktemp("tiny"), max_length=16)


@pytest.fixture(scope="module")
def ner(bundle: Bundle) -> Iterator[Pipeline]:
    with Pipeline(NerTask(), bundle, threads=1) as pipe:
        yield pipe


def run(bundle: Bundle, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["run", "ner", "--model", str(bundle.path), *arguments])


def test_entities_have_the_shape_of_the_hub(ner: Pipeline) -> None:
    (person, place) = ner("Anna Smith left Rome.")
    assert person == {
        "entity_group": "PER",
        "score": pytest.approx(0.99, abs=0.01),
        "word": "Anna Smith",
        "start": 0,
        "end": 10,
    }
    assert (place["word"], place["start"], place["end"]) == ("Rome", 16, 20)


def test_one_text_gives_a_list_and_a_list_gives_a_list_each(ner: Pipeline) -> None:
    assert [len(entities) for entities in ner(["Anna", "Rome, Paris", "x"])] == [1, 2, 0]


def test_entities_below_the_minimum_score_are_left_out(ner: Pipeline) -> None:
    found = ner("Anna Smith left Rome.")
    low, high = sorted(entity["score"] for entity in found)
    assert low < high
    kept = [entity for entity in found if entity["score"] == high]
    assert ner("Anna Smith left Rome.", min_score=low) == found
    assert ner("Anna Smith left Rome.", min_score=high) == kept
    assert ner("Anna Smith left Rome.", min_score=1.0) == []
    assert ner("Rome", aggregation_strategy="none", min_score=1.0) == []
    with pytest.raises(OptionError, match="min_score"):
        ner("Rome", min_score=1.5)


def test_none_gives_tokens(ner: Pipeline) -> None:
    tokens = ner("Rome", aggregation_strategy="none")
    assert [(token["entity"], token["word"]) for token in tokens] == [
        ("B-LOC", "Ro"),
        ("I-LOC", "me"),
    ]


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
def test_an_entity_at_a_seam_is_found_once_and_whole(ner: Pipeline, strategy: str) -> None:
    for shift in range(30):
        text = "x " * shift + "Anna Smith" + " y" * 30
        assert [
            (entity["word"], entity["start"]) for entity in ner(text, aggregation_strategy=strategy)
        ] == [("Anna Smith", 2 * shift)]


def test_an_entity_longer_than_a_window_is_one(ner: Pipeline) -> None:
    (entity,) = ner("Anna" + " Smith" * 40)
    assert (entity["start"], entity["end"]) == (0, 4 + 6 * 40)


def test_100_000_characters_lose_and_double_no_entity(ner: Pipeline) -> None:
    line = "Anna Smith took the train to New York. "
    text = line * 2_600
    assert len(text) > 100_000
    found = [(entity["word"], entity["start"]) for entity in ner(text)]
    assert found == [
        (word, number * len(line) + line.index(word))
        for number in range(2_600)
        for word in ("Anna Smith", "New York")
    ]


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_an_entity_ends_with_the_marks_of_its_last_letter(ner: Pipeline, strategy: str) -> None:
    """The tokenizer drops them."""
    found = ner("Anna\u0301 left Paris\u0323\ufe0f.", aggregation_strategy=strategy)
    assert [(entity["word"], entity["start"]) for entity in found] == [
        ("Anna\u0301", 0),
        ("Paris\u0323\ufe0f", 11),
    ]


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u3000"])
def test_a_blank_text_names_nothing(ner: Pipeline, bundle: Bundle, text: str) -> None:
    assert ner(text) == []
    assert ner([text, "Rome"])[0] == []
    done = run(bundle, "--", text, "Rome")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[0]) == []


def test_a_lone_surrogate_is_the_same_error_in_python_and_at_the_shell(
    ner: Pipeline, bundle: Bundle
) -> None:
    with pytest.raises(InputError) as error:
        ner("Anna \ud83d")
    assert "lone surrogate" in error.value.message
    done = run(bundle, "Anna \ud83d")
    assert done.exit_code == error.value.exit_code
    assert error.value.message in done.stderr
    assert "Traceback" not in done.stderr


def test_options_of_the_shell_are_those_of_python(ner: Pipeline, bundle: Bundle) -> None:
    done = run(
        bundle,
        *("--aggregation-strategy", "first", "--ignore-labels", "O", "--ignore-labels", "PER"),
        "Anna left Rome",
    )
    assert done.exit_code == 0, done.output
    options = {"aggregation_strategy": "first", "ignore_labels": ["O", "PER"]}
    assert json.loads(done.stdout) == ner("Anna left Rome", **options)
    assert [entity["word"] for entity in json.loads(done.stdout)] == ["Rome"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aggregation_strategy": "last"}, "aggregation_strategy is 'last'"),
        ({"stride": -1}, "stride is -1"),
        ({"ignore_labels": "O"}, "ignore_labels is 'O'"),
        ({"agregation_strategy": "max"}, "no option 'agregation_strategy'"),
    ],
)
def test_a_wrong_option_is_named(ner: Pipeline, options: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        ner("Anna", **options)


def test_its_texts_stand_in_both_languages() -> None:
    task = NerTask()
    for text in (task.title, task.description):
        assert not isinstance(text, str)
        assert set(text) == {"en", "zh"}
    for field in task.Options.model_fields.values():
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["zh"]
