"""The model inside the package: as good as its card says."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlplug import Bundle, Pipeline, pipeline
from nlplug.evaluation.run import evaluate
from nlplug_ner.plugin import register_models


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    spec = next(iter(register_models()))
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def tagger(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("ner") as tagger:
        yield tagger


def rows_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def f1(tagger: Pipeline, path: Path, rows: list[dict[str, Any]]) -> float:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return float(evaluate(tagger, path).report["f1"])


def test_its_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert manifest.task == "ner"
    assert {label.partition("-")[2] for label in manifest.labels} == {
        "",
        "PER",
        "ORG",
        "LOC",
        "MISC",
    }


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        (
            "Angela Merkel met Emmanuel Macron in Paris on Monday.",
            [("PER", "Angela Merkel"), ("PER", "Emmanuel Macron"), ("LOC", "Paris")],
        ),
        (
            "The European Commission fined Microsoft.",
            [("ORG", "European Commission"), ("ORG", "Microsoft")],
        ),
        (
            "barack obama was born in honolulu",
            [("PER", "barack obama"), ("LOC", "honolulu")],
        ),
        ("GERMAN SHARES RISE IN FRANKFURT", [("MISC", "GERMAN"), ("LOC", "FRANKFURT")]),
        ("It rained all day and nobody came.", []),
        ("Jose\u0301 lives in Berlin.", [("PER", "Jose\u0301"), ("LOC", "Berlin")]),
    ],
)
def test_it_finds_names_in_plain_sentences(
    tagger: Pipeline, text: str, entities: list[tuple[str, str]]
) -> None:
    answer = tagger(text)
    assert [(item["entity_group"], item["word"]) for item in answer] == entities
    assert all(text[item["start"] : item["end"]] == item["word"] for item in answer)


def test_a_document_of_many_windows_is_read_whole(tagger: Pipeline) -> None:
    filler = "Nothing else was said about it, and the meeting went on until late. " * 30
    text = f"Angela Merkel spoke first. {filler}Emmanuel Macron spoke last. {filler}".strip()
    persons = [item["word"] for item in tagger(text) if item["entity_group"] == "PER"]
    assert persons == ["Angela Merkel", "Emmanuel Macron"]


def test_news_is_read_as_well_as_asked(tagger: Pipeline, data_folder: Path) -> None:
    result = evaluate(tagger, data_folder / "dev" / "ner" / "conll2003_en_testa.jsonl.gz")
    assert result.report["f1"] >= 0.885


def test_tweets_kept_out_of_training_are_read_as_well_as_asked(
    tagger: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    rows = rows_of(data_folder / "train" / "ner" / "btc_tweets_en_train.jsonl.gz")
    held = [row for row in rows if held_out(row, 0.1) and "@" not in row["tokens"]]
    for row in held:
        row["label_set"] = ["PER", "ORG", "LOC"]
    assert f1(tagger, tmp_path / "tweets.jsonl", held) >= 0.68


def test_articles_kept_out_of_training_are_read_as_well_as_asked(
    tagger: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    rows = rows_of(data_folder / "train" / "ner" / "wikineural_en_train.jsonl.gz")
    blocks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    held = [
        {"tokens": row["tokens"], "ner_tags": row["ner_tags"]}
        for block in blocks
        if held_out({"tokens": [token for row in block[:2] for token in row["tokens"]]}, 0.05)
        for row in block
    ]
    assert f1(tagger, tmp_path / "articles.jsonl", held) >= 0.81


def test_entries_kept_out_of_training_are_read_as_well_as_asked(
    tagger: Pipeline, data_folder: Path, tmp_path: Path
) -> None:
    rows = rows_of(data_folder / "train" / "ner" / "wikiann_en_train.jsonl.gz")
    held = [{**row, "label_set": ["PER", "ORG", "LOC"]} for row in rows if held_out(row, 0.08)]
    assert f1(tagger, tmp_path / "entries.jsonl", held) >= 0.64


def held_out(row: dict[str, Any], share: float) -> bool:
    """The recipe keeps the texts with the lowest hashes out of training."""
    digest = hashlib.md5(" ".join(row["tokens"]).encode()).hexdigest()
    return int(digest[:8], 16) / 2**32 < share
