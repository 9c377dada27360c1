"""Training and export where the disk has no room: one clear error, and nothing half-written."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_disk_kit import small_disk

from nlplug.cli.main import main
from nlplug.errors import DiskFull, explained


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """As on a full disk, a write beyond so many bytes of a file is an error in this process."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def classifier(base: Path, folder: Path) -> Path:
    """A checkpoint with a random output layer."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoModelForSequenceClassification.from_pretrained(base).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.mark.train
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of a file")
@pytest.mark.parametrize("command", ["train", "export"])
def test_a_full_disk_is_told_and_what_was_there_stays(
    command: str, tiny_bert: Path, toy_files: tuple[Path, Path], tmp_path: Path
) -> None:
    checkpoint = classifier(tiny_bert, tmp_path / "checkpoint")
    output = tmp_path / "out"
    output.mkdir()
    (output / "kept.txt").write_text("old")
    arguments = {
        "train": ["train", "classification", "--data", str(toy_files[0]), "--base", str(tiny_bert)],
        "export": ["export", str(checkpoint), "--task", "classification", "--allow", "answers"],
    }[command]
    with no_file_above(15_000):
        done = CliRunner().invoke(main, [*arguments, "--output", str(output / "model")])
    assert done.exit_code == 1, done.output
    assert "no larger file" in done.stderr, done.stderr
    assert "report it" not in done.stderr
    assert not (output / "model").exists()
    assert (output / "kept.txt").read_text() == "old"


@pytest.mark.train
@pytest.mark.parametrize(("command", "sizes"), [("train", (8, 120)), ("export", (0, 60))])
def test_a_full_disk_keeps_what_was_there_and_the_command_works_again(
    command: str,
    sizes: tuple[int, ...],
    tiny_bert: Path,
    toy_files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    checkpoint = classifier(tiny_bert, tmp_path / "checkpoint")
    data, dev = map(str, toy_files)
    arguments = {
        "train": [
            *("train", "sentiment", "--data", data, "--eval", dev, "--base", str(tiny_bert)),
            *("--labels", "bad,good", "--epochs", "12", "--batch-size", "8", "--learning-rate"),
            *("0.005", "--precisions", "fp32", "--device", "cpu", "--save-minutes", "0.001"),
        ],
        "export": ["export", str(checkpoint), "--task", "sentiment", "--allow", "answers"],
    }[command]
    with small_disk(tmp_path / "disk", megabytes=16) as disk:
        arguments += ["--output", str(disk.folder / "model")]
        (disk.folder / "kept.txt").write_text("old")
        for size in sizes:
            disk.leave(size << 10)
            done = CliRunner().invoke(main, arguments)
            assert done.exit_code == 1, done.output
            assert "Error: The disk is full" in done.stderr
            assert set(disk.names()) <= {"kept.txt", "model.training"}
        disk.leave(1 << 30)
        again = CliRunner().invoke(main, arguments)
        if again.exit_code != 0:
            assert "--resume" in again.stderr
            again = CliRunner().invoke(main, [*arguments, "--resume"])
        assert again.exit_code == 0, again.output
        assert (disk.folder / "kept.txt").read_text() == "old"
        assert (disk.folder / "model").is_dir()


@pytest.mark.parametrize(
    "text",
    [
        f"Error while serializing: I/O error: {os.strerror(errno.ENOSPC)} (os error 28)",
        "[enforce fail at inline_container.cc:862] . PytorchStreamWriter failed writing file",
        "[enforce fail at inline_container.cc:672] . unexpected pos 17728 vs 17620",
    ],
)
def test_libraries_that_write_themselves_are_understood(text: str) -> None:
    assert isinstance(explained(RuntimeError(text)), DiskFull)
    assert explained(RuntimeError("another fault")) is None
