"""The Chinese model inside the package: whole, small, described, chosen by the language."""

from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from nlplug import Bundle, pipeline
from nlplug.plugins import PluginHost


def rows_of(path: Path, count: int) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:: len(rows) // count]


def test_it_is_int8_small_and_described() -> None:
    spec = PluginHost.discover().find_model("sentiment-zh")
    assert spec.path is not None
    bundle = Bundle.open(spec.path, verify=True)
    assert list(bundle.precisions) == ["int8"]
    assert sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file()) <= 12e6
    manifest = bundle.manifest
    assert manifest is not None
    assert list(bundle.languages) == ["zh"]
    assert manifest.license
    assert manifest.data
    assert manifest.precisions["int8"].metrics["loss"] <= 0.005
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    for word in ("licence", "bad at", "accuracy"):
        assert word in card


def test_the_language_of_a_text_chooses_the_model() -> None:
    with warnings.catch_warnings(), pipeline("sentiment", "auto") as both:
        warnings.simplefilter("error")  # no text is foreign
        both(["这家酒店的早餐很好吃。", "The breakfast of this hotel was very good."])
        assert both.answered == {"sentiment-zh": 1, "sentiment-en": 1}


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("房间很干净，服务员也很热情，下次还会来。", "positive"),
        ("送餐太慢了，菜都凉了，味道也很差。", "negative"),
        ("手机用了两天就坏了，客服也不理人。", "negative"),
        ("书的内容很好，孩子非常喜欢。", "positive"),
    ],
)
def test_reviews_are_judged(text: str, label: str) -> None:
    with pipeline("sentiment", "sentiment-zh") as judge:
        assert judge(text)[0]["label"] == label


def test_reviews_kept_out_of_training_are_judged_as_well_as_asked(data_folder: Path) -> None:
    rows = rows_of(data_folder / "dev" / "sentiment" / "zh_reviews_test.jsonl.gz", 500)
    names = ("negative", "positive")
    with pipeline("sentiment", "sentiment-zh") as judge:
        answers = judge([row["text"] for row in rows])
    hits = [
        answer["label"] == names[row["label"]] for answer, row in zip(answers, rows, strict=True)
    ]
    assert sum(hits) / len(hits) >= 0.88  # a part of the rows is less certain than all
