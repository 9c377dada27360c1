"""Every example that a plugin ships has a right answer, and the embedded model gives it."""

from __future__ import annotations

from typing import Any

import pytest

from nlplug import Pipeline, pipeline
from nlplug.plugins import PluginHost


def labels(answer: Any) -> Any:
    return answer[0]["label"]


def entities(answer: Any) -> Any:
    return [(one.get("entity_group") or one["entity"], one["word"]) for one in answer]


def best(answer: Any) -> Any:
    return (answer[0] if isinstance(answer, list) else answer)["answer"]


def translation(answer: Any) -> Any:
    return answer[0]["translation_text"]


def continues(answer: Any) -> Any:
    """Whether the answer begins with its prompt and has new words; texts are sampled."""
    return answer[0]["generated_text"]


READ = {
    "classification": labels,
    "generation": continues,
    "ner": entities,
    "qa": best,
    "sentiment": labels,
    "translation": translation,
}
"""For each task the part of an answer that is right or wrong."""

RIGHT: dict[str, list[Any]] = {
    "classification": ["alarm", "spending_history", "oos", "weather"],
    "generation": [
        "Once upon a time",
        "The old king had three sons, and the youngest",
        "In a small house by the sea lived a girl who",
    ],
    "ner": [
        [("PER", "Angela Merkel"), ("PER", "Barack Obama"), ("LOC", "Berlin")],
        [("ORG", "Toyota"), ("LOC", "Alabama"), ("ORG", "Mazda"), ("ORG", "Reuters")],
        [("B-MISC", "World"), ("I-MISC", "Cup"), ("B-LOC", "Brazil"), ("B-LOC", "Germany")],
        [("LOC", "tokyo"), ("ORG", "united")],
    ],
    "qa": ["Anna Weber", "March 1931", "thirty", "1842"],
    "sentiment": ["positive", "negative", "negative", "positive"],
    "translation": [
        "Où est la gare la plus proche ?",
        "Un homme dans une chemise rouge joue de la guitare.\n\n"
        "Deux enfants sont en train de danser.",
        "Bonjour {name} ! Le train part à 10:30. Veuillez visiter https://example.com pour plus "
        "d'informations.",
    ],
}
"""For each task the right answers to its examples, in their order."""

HOST = PluginHost.discover()
TASKS = [name for name in HOST.task_names() if HOST.task(name).default_model is not None]


@pytest.fixture(scope="module", params=TASKS)
def pipe(request: pytest.FixtureRequest) -> Any:
    with pipeline(request.param) as made:
        yield made


def test_each_example_has_a_right_answer(pipe: Pipeline) -> None:
    assert len(RIGHT.get(pipe.definition.name, [])) == len(pipe.definition.examples) > 0


def test_the_embedded_model_gives_the_right_answers(pipe: Pipeline) -> None:
    read = READ[pipe.definition.name]
    for example, right in zip(pipe.definition.examples, RIGHT[pipe.definition.name], strict=True):
        options = {**example.options} | ({"max_new_tokens": 8} if read is continues else {})
        answer = read(next(iter(pipe.answers([dict(example.input)], **options))))
        if read is continues:
            assert answer.startswith(right)
            assert answer[len(right) :].strip()
        else:
            assert answer == right


def test_no_example_is_foreign_to_its_model(pipe: Pipeline) -> None:
    assert not pipe.foreign([dict(example.input) for example in pipe.definition.examples]).found
