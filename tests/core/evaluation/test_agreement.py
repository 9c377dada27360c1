"""Two models on rows without right answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlplug import pipeline
from nlplug.data import DataFile
from nlplug.errors import DataError, InputError, OptionError
from nlplug.evaluation.agreement import agreement
from nlplug.testing import tiny_text_classifier

WORDS = {"good": (3.0, 0.0), "bad": (0.0, 3.0), "odd": (1.0, 0.0)}


def file(folder: Path, *lines: str) -> DataFile:
    path = folder / "inputs.csv"
    path.write_text("\n".join(lines), "utf-8")
    return DataFile(path)


def test_different_first_labels_are_disagreements_most_confident_first(tmp_path: Path) -> None:
    turned = WORDS | {"odd": (0.0, 1.0), "good": (0.0, 3.0)}
    models = [
        pipeline("classification", tiny_text_classifier(tmp_path / name, words).path)
        for name, words in (("one", WORDS), ("two", turned))
    ]
    found = agreement(*models, file(tmp_path, "text,note", "odd,x", "bad,x", "good,x"))
    assert (found.rows, found.different) == (3, 2)
    assert found.agreement == pytest.approx(1 / 3)
    assert [one.source for one in found.disagreements] == ["inputs.csv:4", "inputs.csv:2"]
    labels = models[0].bundle.labels
    assert found.disagreements[0].answers == (labels[0], labels[1])
    assert found.disagreements[0].input == "good"
    assert [side.name for side in found.sides] == ["one@fp32", "two@fp32"]
    assert agreement(*models, file(tmp_path, "text", "odd", "bad"), limit=1).rows == 1


def test_what_cannot_be_compared_is_one_error(tmp_path: Path) -> None:
    one = pipeline("classification", tiny_text_classifier(tmp_path / "one", WORDS).path)
    with pytest.raises(OptionError, match="different tasks"):
        agreement(one, pipeline("ner"), file(tmp_path, "text", "good"))
    with pytest.raises(InputError, match="'text'"):
        agreement(one, one, file(tmp_path, "other", "good"))
    with pytest.raises(DataError):
        agreement(one, one, file(tmp_path, "text"))
