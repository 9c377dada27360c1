"""What a report says of a classifier that may abstain, or that has very many labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx")

from click.testing import CliRunner

from nlplug import Pipeline
from nlplug.cli.main import main
from nlplug.evaluation.report import as_text
from nlplug.evaluation.run import evaluate
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_text_classifier
from nlplug_classification.task import ClassificationTask

INTENTS = {"alarm": (12.0, 0.0, 0.0), "joke": (0.0, 12.0, 0.0), "moon": (0.0, 0.0, 12.0)}
TOPICS = {"ball": (9.0, -9.0), "vote": (-9.0, 9.0), "match": (1.5, -9.0), "hm": (-9.0, -9.0)}


def write(path: Path, *rows: tuple[str, Any]) -> Path:
    key = "labels" if isinstance(rows[0][1], list) else "label"
    path.write_text("".join(json.dumps({"text": t, key: v}) + "\n" for t, v in rows))
    return path


def report(bundle: Bundle, data: Path, **options: Any) -> dict[str, Any]:
    with Pipeline(ClassificationTask(), bundle, threads=1, options=options) as pipe:
        return evaluate(pipe, data).to_dict()


@pytest.fixture(scope="module")
def intents(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "intents"
    return tiny_text_classifier(folder, INTENTS, labels=("wake", "laugh", "oos"))


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_text_classifier(
        tmp_path_factory.mktemp("models") / "topics",
        TOPICS,
        labels=("sports", "politics"),
        config={"problem_type": "multi_label_classification"},
    )


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Four texts inside, of which one is too unclear to tell, and three outside."""
    return write(
        tmp_path / "asked.jsonl",
        ("alarm", "wake"),
        ("alarm alarm", "wake"),
        ("joke", "laugh"),
        ("hm", "wake"),
        ("moon", "oos"),
        ("what", "oos"),
        ("alarm", "oos"),
    )


def test_texts_inside_and_outside_are_counted_apart(intents: Bundle, asked: Path) -> None:
    found = report(intents, asked, min_score=0.5, abstain_label="oos")
    assert found["operating_point"] == {
        "threshold": 0.0,
        "min_score": 0.5,
        "abstain_label": "oos",
    }
    assert found["in_scope_accuracy"] == 3 / 4, "abstaining from 'hm' is wrong"
    assert found["out_of_scope_recall"] == 2 / 3
    assert found["out_of_scope_precision"] == 2 / 3
    assert (found["out_of_scope_rows"], found["abstained"]) == (3, 3 / 7)
    assert found["accuracy"] == 5 / 7


def test_without_abstaining_the_report_is_the_familys(intents: Bundle, asked: Path) -> None:
    found = report(intents, asked)
    assert "in_scope_accuracy" not in found
    assert found["accuracy"] == 5 / 7, "'hm' is right by chance, 'what' is not found"


def test_a_label_that_the_model_lacks_may_stand_for_texts_outside(
    intents: Bundle, tmp_path: Path
) -> None:
    data = write(tmp_path / "a.jsonl", ("alarm", "wake"), ("hm", "none"), ("joke", "none"))
    found = report(intents, data, min_score=0.5)
    assert (found["in_scope_accuracy"], found["out_of_scope_recall"]) == (1.0, 0.5)
    assert found["labels"]["none"]["support"] == 2


def test_with_several_labels_a_text_without_any_is_one_outside(
    topics: Bundle, tmp_path: Path
) -> None:
    data = write(tmp_path / "a.jsonl", ("ball", ["sports"]), ("hm", []), ("vote", []))
    found = report(topics, data, min_score=0.5)
    assert (found["in_scope_accuracy"], found["out_of_scope_recall"]) == (1.0, 0.5)
    assert found["accuracy"] == 2 / 3


def test_labels_count_as_given_from_the_models_threshold_on(topics: Bundle, tmp_path: Path) -> None:
    data = write(tmp_path / "a.jsonl", ("match", ["sports"]), ("ball", ["sports"]))
    assert report(topics, data)["accuracy"] == 1.0
    assert report(topics, data, threshold=0.9)["accuracy"] == 0.5
    assert report(topics, data, threshold=0.01)["accuracy"] == 0.0, "politics as well"


def test_an_answer_without_labels_is_wrong(intents: Bundle, tmp_path: Path) -> None:
    data = write(tmp_path / "a.jsonl", ("hm", "wake"), ("alarm", "wake"))
    assert report(intents, data, threshold=0.5)["accuracy"] == 0.5


def test_several_labels_may_stand_in_one_field_of_a_table(topics: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "a.csv"
    data.write_text('text,labels\nball,sports\nball vote,"politics,sports"\nhm,\nhm,"[]"\n')
    found = report(topics, data)
    assert [found["labels"][name]["support"] for name in ("sports", "politics")] == [2, 1]


def test_the_command_shows_the_point_that_the_model_is_used_at(
    intents: Bundle, asked: Path, tmp_path: Path
) -> None:
    from nlplug.models.manifest import Manifest
    from nlplug.models.writer import BundleWriter

    own = {"min_score": 0.5, "abstain_label": "oos"}
    with BundleWriter(tmp_path / "own") as writer:
        for path in intents.path.rglob("*"):
            if path.is_file():
                target = writer.folder / path.relative_to(intents.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        labels = list(intents.labels)
        writer.commit(Manifest(name="own", task="classification", labels=labels, options=own))
    done = CliRunner().invoke(main, ["evaluate", str(tmp_path / "own"), "--data", str(asked)])
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    for line in (
        "min score 0.5000",
        "abstain label oos",
        "accuracy in scope 0.7500",
        "out of scope, recall 0.6667",
        "out of scope, precision 0.6667",
    ):
        assert line in lines


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Sixty labels, each of a word of its own, but that the last word tells the first label."""
    words = {f"w{i}": tuple(9.0 * (j == i % 59) for j in range(60)) for i in range(60)}
    labels = [f"label-{i}" for i in range(60)]
    return tiny_text_classifier(tmp_path_factory.mktemp("models") / "many", words, labels=labels)


@pytest.fixture
def many_rows(tmp_path: Path) -> Path:
    rows = [(f"w{i}", f"label-{i}") for i in range(60)]
    return write(tmp_path / "many.jsonl", *rows, ("w3", "label-4"), ("w3", "label-4"))


def test_of_very_many_labels_the_worst_and_the_most_confused_are_shown(
    many: Bundle, many_rows: Path
) -> None:
    with Pipeline(ClassificationTask(), many, threads=1) as pipe:
        result = evaluate(pipe, many_rows)
    assert "confusion" not in result.report
    assert result.report["confused"] == [
        {"truth": "label-4", "answer": "label-3", "rows": 2, "share": pytest.approx(2 / 3)},
        {"truth": "label-59", "answer": "label-0", "rows": 1, "share": 1.0},
    ]
    assert len(result.report["labels"]) == 60
    text = as_text(result)
    assert "By label (the 20 of 60 with the lowest F1)" in text
    assert any(line.split()[:3] == ["label-4", "label-3", "2"] for line in text.splitlines())
    assert len(text.splitlines()) < 60
    assert max(map(len, text.splitlines())) < 100


def test_the_most_confused_pairs_are_drawn(many: Bundle, many_rows: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    with Pipeline(ClassificationTask(), many, threads=1) as pipe:
        result = evaluate(pipe, many_rows)
    figures = result.evaluation.plots(result.report, pyplot)
    assert list(figures) == ["Most confused pairs", "Reliability"]
    names = [label.get_text() for label in figures["Most confused pairs"].axes[0].get_yticklabels()]
    assert names == ["label-59 → label-0", "label-4 → label-3"]
    pyplot.close("all")
