"""The Chinese models inside the packages: as good as their cards say, chosen by the language."""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nlplug import Pipeline, pipeline
from nlplug.data import read_rows
from nlplug.evaluation.run import evaluate

TASKS = {"sentiment": "sentiment-zh", "ner": "ner-zh", "classification": "topics-zh"}


def rows_of(path: Path, count: int) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return rows[:: len(rows) // count]


@pytest.fixture(scope="module", params=TASKS)
def either(request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    with pipeline(request.param, "auto") as both:
        yield both


def test_the_language_of_a_text_chooses_its_model(either: Pipeline) -> None:
    english = next(bundle.name for bundle in either.bundles if "en" in bundle.languages)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no text is foreign
        either(["李雷昨天在北京大学见到了韩梅梅。", "Anna met her brother in Paris yesterday."])
    assert either.answered == {TASKS[either.task]: 1, english: 1}


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


@pytest.mark.parametrize(
    ("title", "topic"),
    [
        ("湖人加时险胜火箭，科比独得40分", "sports"),
        ("2010年考研英语阅读理解复习指导", "education"),
        ("沪指早盘低开低走，银行股领跌", "stocks"),
        ("网游新资料片今日公测，新职业登场", "game"),
    ],
)
def test_titles_have_their_topic(title: str, topic: str) -> None:
    with pipeline("classification", "topics-zh") as sort:
        assert sort(title)[0]["label"] == topic


def test_titles_kept_out_of_training_are_sorted_as_well_as_the_card_says(data_folder: Path) -> None:
    rows = rows_of(data_folder / "dev" / "topic" / "zh_thucnews_test.jsonl.gz", 500)
    with pipeline("classification", "topics-zh") as sort:
        answers = sort([row["text"] for row in rows])
    hits = [answer["label"] == row["label"] for answer, row in zip(answers, rows, strict=True)]
    assert sum(hits) / len(hits) >= 0.81  # a part of the rows is less certain than all


def test_names_are_found_where_they_stand() -> None:
    text = "中国外交部长王毅今天在北京会见了来访的法国总统马克龙。"
    with pipeline("ner", "ner-zh") as tagger:
        found = tagger(text)
    names = {(text[item["start"] : item["end"]], item["entity_group"]) for item in found}
    assert names >= {("中国外交部", "ORG"), ("王毅", "PER"), ("北京", "LOC"), ("法国", "LOC")}


def test_reviews_kept_out_of_training_are_judged_as_well_as_asked(data_folder: Path) -> None:
    rows = rows_of(data_folder / "dev" / "sentiment" / "zh_reviews_test.jsonl.gz", 500)
    names = ("negative", "positive")
    with pipeline("sentiment", "sentiment-zh") as judge:
        answers = judge([row["text"] for row in rows])
    hits = [
        answer["label"] == names[row["label"]] for answer, row in zip(answers, rows, strict=True)
    ]
    assert sum(hits) / len(hits) >= 0.88  # a part of the rows is less certain than all


def test_names_kept_out_of_training_are_found_as_well_as_the_card_says(
    data_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")  # the recipe imports it
    from chinese import held_out

    file = tmp_path / "held-out.jsonl"
    rows = []
    for row in read_rows(data_folder / "train" / "ner" / "zh_msra_train.jsonl.gz"):
        text = "".join(row.values["tokens"])
        # Those of even length watched the training.
        if len(text) % 2 and held_out(text):
            rows.append(json.dumps(row.values))
    file.write_text("\n".join(rows[::4]), encoding="utf-8")
    with pipeline("ner", "ner-zh") as tagger:
        found = evaluate(tagger, file).report["f1"]
        card = (tagger.bundles[0].path / "README.md").read_text(encoding="utf-8")
    stated = re.search(r"\| all .*\| ([0-9.]+) \|", card)
    assert stated is not None
    assert found >= float(stated[1]) - 0.05  # a part of the rows is less certain than all
