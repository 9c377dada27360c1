"""Inputs that are words: answers name the words, and a word has the label of its first token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from nlplug import Pipeline, pipeline
from nlplug.cli.main import main
from nlplug.errors import InputError, OptionError
from nlplug.evaluation.run import evaluate
from nlplug.server.app import create_app

WORDS = ["Angela", "Merkel", "met", "O'Neill", "in", "Berlin", "."]
INDICES = [("PER", [0, 1]), ("PER", [3]), ("LOC", [5])]


@pytest.fixture(scope="module")
def ner() -> Iterator[Pipeline]:
    with pipeline("ner", device="cpu") as pipe:
        yield pipe


def found(entities: list[dict[str, Any]]) -> list[tuple[str, list[int]]]:
    return [(one["entity_group"], one["words"]) for one in entities]


def test_a_list_of_words_is_one_text(ner: Pipeline) -> None:
    [entities] = ner(WORDS, is_split_into_words=True)

    assert found(entities) == INDICES
    text = " ".join(WORDS)
    assert all(text[one["start"] : one["end"]] == one["word"] for one in entities)
    several = ner([WORDS, ["Rome"]], is_split_into_words=True)
    assert [found(one) for one in several] == [INDICES, [("LOC", [0])]]
    assert ner({"words": WORDS}) == ner(words=WORDS) == entities
    assert len(ner(WORDS)) == len(WORDS)  # without the option they are texts


def test_a_word_has_the_label_of_its_first_token(ner: Pipeline) -> None:
    tokens = ner({"words": WORDS}, aggregation_strategy="none", ignore_labels=[])
    first: dict[int, str] = {}
    for token in tokens:
        [word] = token["words"]
        first.setdefault(word, token["entity"])
    [answer] = ner.answers([{"words": WORDS}], word_tags=True)

    assert len(tokens) > len(WORDS)  # a word has several
    assert answer["tags"] == [first[index] for index in range(len(WORDS))]
    assert answer["answer"] == ner(" ".join(WORDS))


def test_words_without_a_token_are_outside(ner: Pipeline) -> None:
    [answer] = ner.answers([{"words": ["\u200d", "\ufeff"]}], word_tags=True)

    assert answer["tags"] == ["O", "O"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "lacks 'text'"),
        ({"text": "Rome", "words": ["Rome"]}, "Both text and words"),
        ({"words": ["Rome", " "]}, "Word 1 is ' '"),
        ({"words": "Rome"}, "words is 'Rome'"),
    ],
)
def test_what_is_neither_a_text_nor_words_is_refused(
    ner: Pipeline, value: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        ner(value)


@pytest.mark.parametrize("delimiter", ["", " ", "--"])
def test_positions_are_those_with_the_delimiter(ner: Pipeline, delimiter: str) -> None:
    [usual] = ner(WORDS, is_split_into_words=True)
    [entities] = ner(WORDS, is_split_into_words=True, delimiter=delimiter)

    text = delimiter.join(WORDS)
    assert found(entities) == found(usual)
    assert [one["score"] for one in entities] == [one["score"] for one in usual]
    assert [one["word"] for one in entities] == [f"Angela{delimiter}Merkel", "O'Neill", "Berlin"]
    assert all(text[one["start"] : one["end"]] == one["word"] for one in entities)
    assert ner("Angela Merkel", delimiter=delimiter) == ner("Angela Merkel")


def test_chinese_words_are_read_without_spaces_and_told_as_in_transformers(ner: Pipeline) -> None:
    words = ["Angela", "Merkel", "在", "柏林"]
    [tokens] = ner(words, is_split_into_words=True, aggregation_strategy="none", ignore_labels=[])

    assert ner({"words": words}, aggregation_strategy="none", ignore_labels=[])[-1]["end"] == 16
    text = " ".join(words)
    assert tokens[-1]["end"] == len(text) == 18
    assert all(text[one["start"] : one["end"]] == one["word"] for one in tokens)


def test_an_explanation_finds_an_entity_at_its_place_with_the_delimiter(ner: Pipeline) -> None:
    shared = {"explain": True, "explain_method": "occlusion", "explain_passes": 16}
    usual = ner({"words": WORDS}, **shared)
    moved = ner({"words": WORDS, "joined_by": "--"}, **shared)

    assert moved["explanation"] == usual["explanation"]


def test_a_stream_of_words(ner: Pipeline) -> None:
    class Rows:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, number: int) -> list[str]:
            return [WORDS, ["Rome"]][number]

    several = ner(Rows(), is_split_into_words=True)
    assert len(several) == 2
    assert [found(one) for one in several] == [INDICES, [("LOC", [0])]]
    lazy = ner((words for words in (WORDS, ["Rome"])), is_split_into_words=True)
    assert [found(one) for one in lazy] == [INDICES, [("LOC", [0])]]


def test_is_split_into_words_needs_a_list(ner: Pipeline) -> None:
    with pytest.raises(OptionError, match="is_split_into_words"):
        ner("Rome", is_split_into_words=True)
    for rows in (iter(WORDS), iter([WORDS, {"text": "Rome"}]), iter([3])):
        with pytest.raises(OptionError, match="is_split_into_words"):
            list(ner(rows, is_split_into_words=True))
    with pytest.raises(OptionError, match="1 positional argument"):
        ner("Rome", "Paris")
    with pytest.raises(OptionError, match="delimiter"):
        pipeline("ner", delimiter="")
    with pytest.raises(OptionError, match="is_split_into_words"):
        pipeline("ner", is_split_into_words=True)
    assert ner("Rome", is_split_into_words=False) == ner("Rome")


def test_the_server_answers_words() -> None:
    with TestClient(create_app()) as client:
        reply = client.post("/models/ner", json={"inputs": {"words": WORDS}})
        wrong = client.post("/models/ner", json={"inputs": {"words": WORDS, "text": "Rome"}})

    assert reply.status_code == 200, reply.text
    assert found(reply.json()) == INDICES
    assert wrong.status_code == 422
    assert "Both text and words" in wrong.json()["error"]


def test_the_command_reads_a_column_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "words.jsonl"
    path.write_text(json.dumps({"tokens": WORDS}) + "\n")
    done = CliRunner().invoke(main, ["run", "ner", "--input", str(path)])

    assert done.exit_code == 0, done.output
    assert found(json.loads(done.stdout)) == INDICES


def test_an_evaluation_scores_words_as_seqeval_does(ner: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "dev.conll"
    path.write_text("Angela B-PER\nMerkel I-PER\nmet O\nO'Neill B-PER\n.O O\n\nRome B-LOC\n")
    report = evaluate(ner, path).report

    assert report["by_word"]["rows"] == 2
    # seqeval 1.2.2: f1_score([["B-PER", "I-PER", "O", "B-PER", "O"], ["B-LOC"]], tags)
    assert report["f1_by_word"] == report["f1_by_word_strict"] == 1.0
