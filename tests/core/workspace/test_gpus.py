"""The GPUs that the driver lists."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from nlplug.workspace.gpus import gpus


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("echo 'NVIDIA A10'; echo 'NVIDIA A10'", ("NVIDIA A10", "NVIDIA A10")),
        ("echo 'no driver'; exit 9", ()),
        (None, ()),
    ],
)
def test_the_driver_names_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, names: tuple[str, ...]
) -> None:
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus.cache_clear()
    try:
        found = gpus()
    finally:
        gpus.cache_clear()
    assert found.names == names
    assert found.used == (script is not None and torch_has_cuda())


def torch_has_cuda() -> bool:
    try:
        return not version("torch").endswith("+cpu")
    except PackageNotFoundError:
        return False
