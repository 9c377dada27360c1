"""The folder a run works in, ``<output>.training``: its checkpoints, its record, its result."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlplug.errors import TrainingError
from nlplug.train.config import RunConfig

# Settings that may differ when a run is resumed: they do not change what is trained.
_FREE = frozenset(
    {
        "budget",
        "description",
        "device",
        "eval_steps",
        "languages",
        "license",
        "name",
        "output",
        "precisions",
        "report_to",
        "resume",
        "save_minutes",
        "threads",
        "window",
    }
)
# At an even learning rate a run may also become longer or shorter.
_LENGTH = frozenset({"epochs"})
_EVEN = "constant_with_warmup"
_RECORD = "run.json"
RESULT = ("scores", "steps", "processes", "backend")
"""What the record of a finished run tells besides its settings."""


def check_output(output: Path, *, mark: str = "nlplug.json", kind: str = "nlplug bundle") -> None:
    """Refuse an output that is neither empty nor an earlier result.

    Args:
        output: The folder.
        mark: File by which an earlier result is known.
        kind: What an earlier result is.

    Raises:
        TrainingError: It holds something else, which must not be lost.
    """
    if output.is_file():
        raise TrainingError(f"{output} is a file, not a folder.", hint="Choose another --output.")
    if output.is_dir() and any(output.iterdir()) and not (output / mark).is_file():
        raise TrainingError(
            f"{output} is not empty and holds no {kind}.",
            hint="Choose another --output, or empty the folder.",
        )


@dataclass(frozen=True)
class Workspace:
    """A run's folder.

    Attributes:
        folder: ``<output>.training``.
        config: The run's settings.
        checkpoint: The last complete checkpoint to go on from, or None.
        finished: Whether the result is already there.
    """

    folder: Path
    config: RunConfig
    checkpoint: Path | None
    finished: bool

    @classmethod
    def of(cls, config: RunConfig) -> Workspace:
        """The folder of this run, whatever is in it."""
        folder = config.output.with_name(config.output.name + ".training")
        return cls(folder, config, None, finished=False)

    @classmethod
    def open(cls, config: RunConfig) -> Workspace:
        """Look at what an earlier run left; nothing is written yet.

        Raises:
            TrainingError: An unfinished run is there and ``resume`` is off; or a run to resume was
                started with other settings; or the folder is something else.
        """
        folder = cls.of(config).folder
        record = _read_record(folder)
        if record is None:
            if folder.exists() and any(folder.iterdir()):
                raise TrainingError(
                    f"{folder} is in the way and holds no training run.",
                    hint="Move it, or choose another --output.",
                )
            return cls(folder, config, None, finished=False)
        finished = bool(record.get("finished"))
        checkpoints = complete_checkpoints(folder)
        if not config.resume:
            if checkpoints and not finished:
                raise TrainingError(
                    f"{folder} holds an unfinished run ({checkpoints[-1].name}).",
                    hint="Go on with --resume, or delete the folder to start again.",
                )
            return cls(folder, config, None, finished=False)
        _same_settings(record.get("config", {}), config, folder)
        return cls(folder, config, checkpoints[-1] if checkpoints else None, finished)

    @property
    def model(self) -> Path:
        """The finished checkpoint."""
        return self.folder / "model"

    @property
    def curve(self) -> Path:
        """The run's curve: a JSON object a line, with the step, and a loss or scores."""
        return self.folder / "curve.jsonl"

    @property
    def eval_file(self) -> Path:
        """The rows the run was evaluated on, as the export gate takes them."""
        return self.folder / "eval.jsonl.gz"

    def start(self) -> None:
        """Make the folder ready: record the settings, drop whatever is not gone on from."""
        if self.checkpoint is None and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        keep = set(complete_checkpoints(self.folder))
        for path in self.folder.glob("checkpoint-*"):
            if path not in keep:
                shutil.rmtree(path)
        self._write_record(finished=False)

    def finish(self, scores: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        """Note that ``model`` is whole, and let the checkpoints go.

        Args:
            scores: Of ``model``.
            facts: What else is told of the run, named as in ``RESULT``.
        """
        self._write_record(finished=True, scores=dict(scores), **facts)
        for path in self.folder.glob("checkpoint-*"):
            shutil.rmtree(path)

    def result(self) -> dict[str, Any]:
        """What ``finish`` was told of the run."""
        record = _read_record(self.folder) or {}
        return {name: record[name] for name in RESULT if name in record}

    def _write_record(self, **result: Any) -> None:
        body = {**result, "config": self.config.model_dump(mode="json")}
        temporary = self.folder / f"{_RECORD}.new"
        temporary.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, self.folder / _RECORD)


def complete_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that were written to their end, oldest first."""
    found = [path.parent for path in folder.glob("checkpoint-*/complete")]
    return sorted(found, key=lambda path: int(path.name.rsplit("-", 1)[1]))


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _same_settings(earlier: dict[str, Any], config: RunConfig, folder: Path) -> None:
    now = config.model_dump(mode="json")
    # A setting that is newer than the run counts as its default.
    fields = type(config).model_fields
    earlier = {name: field.get_default() for name, field in fields.items()} | earlier
    free = _FREE | (_LENGTH if now.get("schedule") == _EVEN else frozenset())
    changed = [
        f"{key} was {earlier.get(key)!r}, is {now[key]!r}"
        for key in now
        if key not in free and earlier.get(key) != now[key]
    ]
    if changed:
        raise TrainingError(
            f"The run in {folder} was started with other settings: {'; '.join(changed)}.",
            hint="Give the same settings, or delete the folder to start again.",
        )
