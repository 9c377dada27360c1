"""``nlplug export`` on the command line, under the installed sentiment task."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nlplug.cli.export import export
from nlplug.models.bundle import Bundle

pytestmark = pytest.mark.train


def test_it_says_what_was_kept_at_what_cost(
    trained_bert: Path, toy_data: Path, tmp_path: Path
) -> None:
    arguments = [str(trained_bert), "--task", "sentiment", "--output", str(tmp_path / "out")]
    options = ["--precision", "fp32,int8", "--data", str(toy_data), "--rows", "60"]
    outcome = CliRunner().invoke(
        export, [*arguments, *options, "--language", "en"], catch_exceptions=False
    )
    assert "fused: 2 Attention" in outcome.stdout
    assert "Compared with PyTorch on 60 labelled rows of dev.jsonl." in outcome.stdout
    rows = [line.split() for line in outcome.stdout.splitlines() if line.endswith("kept")]
    assert [row[0] for row in rows] == ["fp32", "int8"]
    bundle = Bundle.open(tmp_path / "out", verify=True)
    assert bundle.manifest is not None
    assert (bundle.manifest.task, bundle.manifest.languages) == ("sentiment", ["en"])


def test_the_budget_is_given_in_points(trained_bert: Path, tmp_path: Path) -> None:
    arguments = [str(trained_bert), "--task", "sentiment", "--output", str(tmp_path / "out")]
    CliRunner().invoke(
        export, [*arguments, "--precision", "fp32", "--budget", "2"], catch_exceptions=False
    )
    manifest = Bundle.open(tmp_path / "out").manifest
    assert manifest is not None
    assert manifest.metrics["gate"]["budget"] == 0.02
