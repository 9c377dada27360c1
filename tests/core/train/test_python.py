"""`nlplug.train(…)`: the run from Python, with callbacks, a metric, a loss and trackers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from toy_set import toy_rows

import nlplug
import nlplug.train.config  # as a program may do: this must not hide the function
from nlplug.cli.main import main
from nlplug.errors import DataError, MissingExtra, NlplugError, OptionError, TrainingError

pytestmark = pytest.mark.train

ROWS = [{**row, "label": ("negative", "positive")[row["label"]]} for row in toy_rows(96)]


@pytest.fixture
def settings(tiny_bert: Path, tmp_path: Path) -> dict[str, Any]:
    """A run on rows in memory that takes a second or two."""
    return {
        **{"task": "sentiment", "data": ROWS[:64], "eval": ROWS[64:], "base": str(tiny_bert)},
        **{"output": tmp_path / "out", "labels": ["negative", "positive"], "epochs": 6},
        **{"batch_size": 8, "learning_rate": 5e-3, "layer_decay": 1.0, "probe": False},
        **{"precisions": ["fp32"], "device": "cpu", "threads": 1, "test_share": 0.5},
    }


def test_rows_in_memory_become_a_bundle_and_a_report(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    # As pandas gives them: numbers of NumPy, and NaN where a value is missing.
    ids = (np.int64(row["label"] == "positive") for row in ROWS)
    rows = ({**row, "label": next(ids), "note": float("nan")} for row in settings["data"])
    done = nlplug.train(**settings | {"data": rows})

    assert done.score > 0.8
    assert (done.metric, done.scores["accuracy"]) == ("accuracy", done.score)
    assert done.report["rows"] < len(ROWS) - 64  # the test rows
    assert (done.checkpoint / "config.json").is_file()
    with nlplug.pipeline("sentiment", done.bundle) as judge:
        assert judge("so lovely")[0]["label"] == "positive"

    again = tmp_path / "again"
    words = ["train", "sentiment", "--config", str(done.settings), "--output", str(again)]
    repeated = CliRunner().invoke(main, words)

    assert repeated.exit_code == 0, repeated.output
    graphs = [sorted(folder.rglob("*.onnx")) for folder in (done.folder, again)]
    assert graphs[0]
    assert [a.read_bytes() for a in graphs[0]] == [b.read_bytes() for b in graphs[1]]


def test_a_callback_a_metric_and_a_loss_take_part(settings: dict[str, Any]) -> None:
    from torch.nn import functional as F
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        count = 0

        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            self.count += 1

    batches = []

    def recall_of_positive(answers: Any, targets: Any) -> float:
        found = [a[0]["label"] for a, t in zip(answers, targets, strict=True) if t in (1, (1,))]
        return found.count("positive") / len(found)

    def focal(logits: Any, labels: Any) -> Any:
        batches.append(len(labels))
        each = F.cross_entropy(logits, labels, reduction="none")
        return ((1 - (-each).exp()) ** 2 * each).mean()

    steps = Steps()
    done = nlplug.train(**settings, callbacks=[steps], metric=recall_of_positive, loss=focal)

    assert steps.count == 48  # 64 rows in batches of 8, 6 times
    assert sum(batches) == 6 * 64
    assert done.metric == "recall_of_positive"
    assert done.score == done.scores["recall_of_positive"] > 0.8
    assert done.report["metric"] == "accuracy"

    first = done.settings.read_text().splitlines()[0]
    assert "together with metric=recall_of_positive and loss=focal" in first
    with pytest.raises(TrainingError, match="started with 'focal' as loss, and not None"):
        nlplug.train(**settings, metric=recall_of_positive, resume=True)
    again = nlplug.train(**settings, metric=recall_of_positive, loss=focal, resume=True)
    assert again.scores == done.scores


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"epochs": 0}, OptionError, "epochs is 0."),
        ({"epoch": 3}, OptionError, "There is no setting 'epoch'."),
        ({"report_to": ["paper"]}, OptionError, r"report_to.0 is 'paper'."),
        ({"callbacks": [print]}, OptionError, "callbacks has <built-in function print>."),
        ({"callbacks": print}, OptionError, "callbacks is <built-in function print>, not a list."),
        ({"loss": 3}, OptionError, "loss is 3."),
        ({"data": [{"text": "a", "label": float("nan")}]}, DataError, "column 'label' is empty."),
        ({"loss": lambda logits, labels: 1.0}, OptionError, "The loss <lambda> returned 1.0."),
        ({"metric": lambda a, t: "x"}, OptionError, "The metric <lambda> returned 'x'."),
        ({"data": 5}, DataError, "data is of the type int"),
        ({"data": {"text": ["a"]}}, DataError, "data is of the type dict"),
        ({"data": [{"text": "a"}, "b"]}, DataError, "The items of data are neither all files nor"),
        ({"data": iter(["a", 1])}, DataError, "The items of data are neither all files nor"),
        ({"data": [{"text": object()}]}, DataError, "data: row 1 cannot be written as JSON"),
        ({"format": "csv"}, OptionError, "format is 'csv', but data is rows in memory."),
        ({"task": "poetry"}, NlplugError, "poetry"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_errors_of_nlplug(
    settings: dict[str, Any], change: dict[str, Any], kind: type[NlplugError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        nlplug.train(**settings | change)
    assert message in caught.value.message
    assert not settings["output"].exists()


@pytest.mark.parametrize(
    ("tracker", "pattern"),
    [("tensorboard", "events.out.*"), ("wandb", "run-*.wandb"), ("mlflow", "metrics/loss")],
)
def test_a_tracker_gets_the_run(
    settings: dict[str, Any],
    tracker: str,
    pattern: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    if find_spec(tracker) is None:
        with pytest.raises(MissingExtra, match=f"needs the package '{tracker}'"):
            nlplug.train(**settings, report_to=[tracker])
        return
    nlplug.train(**settings, report_to=[tracker])

    assert len([*tmp_path.rglob(pattern)]) == 1  # one run, which ends with the training


def test_importing_nlplug_and_naming_the_function_imports_no_torch() -> None:
    code = "import sys, nlplug; assert callable(nlplug.train); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
