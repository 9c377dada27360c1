"""What a run leaves beside its bundle: a report on rows that did not choose the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nlplug.data import read_rows
from nlplug.data.rows import DataRow
from nlplug.errors import DataError
from nlplug.evaluation.report import model_sections
from nlplug.models.bundle import Bundle
from nlplug.models.card import model_card
from nlplug.models.manifest import Manifest, PrecisionRecord
from nlplug.task import Task
from nlplug.train.config import TrainConfig
from nlplug.train.report import refusal_report
from nlplug.train.rows import split
from nlplug.train.run import fine_tune, train
from nlplug.train.workspace import Workspace

Make = Callable[..., TrainConfig]


def rows(*texts: str) -> list[DataRow]:
    return [DataRow({"text": text}, Path("d"), line) for line, text in enumerate(texts, start=1)]


def key(row: DataRow) -> str:
    return str(row.values["text"])


def test_half_of_the_rows_test_and_equal_texts_stay_together() -> None:
    data = rows(*(f"text {n // 2}" for n in range(200)))
    chosen, tested = split(data, 0.5, key)
    assert len(chosen) + len(tested) == 200
    assert 80 <= len(tested) <= 100
    assert not {key(row) for row in chosen} & {key(row) for row in tested}
    assert split(data[::-1], 0.5, key)[1] == tested[::-1]


@pytest.mark.parametrize(("texts", "share"), [(["one"], 0.5), (["one", "two"], 0.0)])
def test_too_few_rows_are_not_split(texts: list[str], share: float) -> None:
    assert split(rows(*texts), share, key) == (rows(*texts), [])


@pytest.mark.train
def test_the_report_is_on_rows_that_did_not_choose_the_checkpoint(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    settings = config(precisions=["fp32"])
    output = train(toy_task, settings)
    work = Workspace.of(settings)
    chosen, tested = (
        [row.values["text"] for row in read_rows(file)] for file in (work.eval_file, work.test_file)
    )
    assert not set(chosen) & set(tested)
    assert len(chosen) + len(tested) == 24

    folder = tmp_path / "out.report"
    values = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert values["rows"] == len(tested)
    assert values["accuracy"] == 1.0
    assert values["interval"][0] < 1.0
    assert values["baselines"]["majority"] < 0.8
    assert values["selection"]["accuracy"] == 1.0
    assert values["precisions"]["fp32"]["metrics"]["accuracy"] == 1.0
    assert [point["step"] for point in values["curve"] if "eval_accuracy" in point][:2] == [9, 18]
    assert values["check"]["rows"] == {"train": 72, "eval": len(chosen), "test": len(tested)}
    page = (folder / "report.html").read_text(encoding="utf-8")
    for title in ("Learning curve", "Reliability", "Quality gate", "Model card", "Settings"):
        assert title in page
    assert "did not choose the checkpoint" in page
    card = (output / "README.md").read_text(encoding="utf-8")
    (record,) = [r for r in Bundle.open(output).manifest.data if r["part"] == "train"]
    assert record["sha256"] in card
    assert f"{len(tested)} labelled rows of test.jsonl.gz" in card


@pytest.mark.train
def test_rows_of_a_test_file_are_used_and_all_others_choose(
    toy_task: Task, config: Make, toy_files: tuple[Path, Path], tmp_path: Path
) -> None:
    lines = toy_files[1].read_text().splitlines()
    dev, test = tmp_path / "d.jsonl", tmp_path / "t.jsonl"
    dev.write_text("\n".join(lines[:10]))
    test.write_text("\n".join(lines[10:]))
    settings = config(eval=[str(dev)], test=[str(test)], epochs=1, precisions=["fp32"], budget=1)
    train(toy_task, settings)
    work = Workspace.of(settings)
    assert len(list(read_rows(work.eval_file))) == 10
    assert len(list(read_rows(work.test_file))) == 14


@pytest.mark.train
def test_a_strict_run_stops_at_a_warning(toy_task: Task, config: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The data check found 1 warning"):
        fine_tune(toy_task, config(strict=True))  # one text is in both files
    assert not (tmp_path / "out.training").exists()


@pytest.mark.train
def test_a_run_without_a_bundle_has_a_report_that_says_why(
    toy_task: Task, config: Make, tmp_path: Path
) -> None:
    settings = config(epochs=2)
    fine_tune(toy_task, settings)
    work = Workspace.of(settings)
    report = refusal_report(toy_task, settings, work, "int8 loses 67.00 points")
    page = report.write(tmp_path / "report").read_text(encoding="utf-8")
    values = json.loads(report.json())
    assert values["refused"] == "int8 loses 67.00 points"
    assert values["selection"] == work.result()["scores"]
    assert "no bundle was written" in page
    assert "int8 loses 67.00 points" in page
    assert "Learning curve" in page


def manifest() -> Manifest:
    return Manifest(
        name="mine",
        task="toy",
        precisions={
            "fp32": PrecisionRecord(
                file="model.onnx",
                metrics={"accuracy": 0.9, "loss": 0.0, "loss_low": -0.01, "loss_high": 0.01},
            )
        },
        files={"model.onnx": {"sha256": "0" * 64, "size": 2_000_000}},  # type: ignore[dict-item]  # pydantic makes the record
        metrics={"gate": {"rows": "40 rows", "refused": {"int8": "int8 loses 67.00 points"}}},
        data=[{"source": "a.csv", "sha256": "ab12"}],
    )


def test_the_gate_is_shown_with_what_it_refused_and_why() -> None:
    (section,) = model_sections(manifest())
    assert section.table is not None
    assert section.table.rows == [
        ["fp32", "2.0 MB", "+0.00", "-1.00 to +1.00", "kept"],
        ["int8", "-", "-", "-", "refused: int8 loses 67.00 points"],
    ]
    assert section.text == "Compared with PyTorch on 40 rows."


def test_the_card_has_scores_refusals_and_digests() -> None:
    card = model_card(manifest())
    assert "| fp32 | 0.9000 | +0.00 | -1.00 to +1.00 |" in card
    assert "Refused: int8 loses 67.00 points." in card
    assert "- a.csv: sha256 ab12" in card
