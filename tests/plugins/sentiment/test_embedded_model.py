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
from nlplug_sentiment.plugin import register_models


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    spec = next(iter(register_models()))
    assert spec.path is not None
    return Bundle.open(spec.path, verify=True)


@pytest.fixture(scope="module")
def judge(bundle: Bundle) -> Iterator[Pipeline]:
    with pipeline("sentiment") as judge:
        yield judge


def rows_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def accuracy(judge: Pipeline, rows: list[dict[str, Any]]) -> float:
    answers = judge([row["text"] for row in rows])
    labels = judge.bundle.labels
    pairs = zip(rows, answers, strict=True)
    return sum(labels[row["label"]] == answer["label"] for row, answer in pairs) / len(rows)


def test_its_manifest_says_what_it_is(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert manifest is not None
    assert (manifest.task, manifest.labels) == ("sentiment", ["negative", "positive"])


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I loved it", "positive"),
        ("A waste of two hours.", "negative"),
        ("The battery died after two days and nobody answered my mail.", "negative"),
        ("Not bad at all!", "positive"),
        ("I would not recommend this to anyone.", "negative"),
    ],
)
def test_it_judges_plain_sentences(judge: Pipeline, text: str, label: str) -> None:
    assert judge(text)[0]["label"] == label


def test_sentences_of_sst2_are_judged_as_well_as_asked(judge: Pipeline, data_folder: Path) -> None:
    rows = rows_of(data_folder / "dev" / "sentiment" / "sst2_dev.jsonl.gz")
    assert accuracy(judge, rows) >= 0.905


def test_long_reviews_kept_out_of_training_are_judged_as_well_as_asked(
    judge: Pipeline, data_folder: Path
) -> None:
    rows = rows_of(data_folder / "train" / "sentiment" / "imdb_train.jsonl.gz")
    # The recipe keeps the 2,000 first by this hash out of training; some of them are enough here.
    rows.sort(key=lambda row: hashlib.md5(row["text"].strip().encode()).hexdigest())
    assert accuracy(judge, rows[:240]) >= 0.87
