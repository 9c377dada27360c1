"""The working folder of a run, ``<output>.training``: checkpoints, record and result."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from nlplug.errors import TrainingError
from nlplug.evaluation.run import digest
from nlplug.json_text import parse_json
from nlplug.models.atomic import Staged, sole_user
from nlplug.train.config import RunConfig
from nlplug.train.plan import CHOSEN

Settings = TypeVar("Settings", bound=RunConfig)
# Settings that may change when a run is resumed, because they do not affect the training.
_CHANGEABLE = frozenset(
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
        "progress_seconds",
        "report_to",
        "resume",
        "save_minutes",
        "allow_trivial",
        "strict",
        "threads",
        "window",
    }
)
# With a constant learning rate, the length of a run may change too.
_LENGTH = frozenset({"epochs"})
_CONSTANT = "constant_with_warmup"
# Settings that name files or data sets.
_SOURCES = ("data", "eval", "test", "unlabelled")
_RECORD = "run.json"
COMPLETE = "complete"
"""File that is written into a checkpoint last; checkpoints without it are ignored."""
EVALUATED = "evaluated"
"""File in a complete checkpoint that was evaluated."""
RESULT = ("baselines", "scores", "steps", "privacy", "processes", "backend")
"""Keys in the record of a finished run besides its settings."""


_TEST, _EVAL, _ROWS = "test.jsonl.gz", "eval.jsonl.gz", "train.jsonl.gz"


def gate_file_of(folder: Path) -> Path | None:
    """The rows for the quality gate in the folder of a run; see `Workspace.gate_file`."""
    files = (folder / name for name in (_TEST, _EVAL, _ROWS))
    return next((file for file in files if file.is_file()), None)


def check_output(output: Path, *, mark: str = "nlplug.json", kind: str = "nlplug bundle") -> None:
    """Check that an output folder is empty or has an earlier result.

    Args:
        output: The folder.
        mark: A file that every earlier result has.
        kind: The kind of result, for the message.

    Raises:
        TrainingError: The folder has other content, which must not be overwritten.
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
    """The folder of a run.

    Attributes:
        folder: ``<output>.training``.
        config: The run's settings.
        checkpoint: The last complete checkpoint, from which to continue, or None.
        finished: Whether the run is finished.
        functions: The names of the functions from Python that the result depends on.
    """

    folder: Path
    config: RunConfig
    checkpoint: Path | None
    finished: bool
    functions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, config: RunConfig) -> Workspace:
        """The folder of this run, without reading its content."""
        folder = config.output.with_name(config.output.name + ".training")
        return cls(folder, config, None, finished=False)

    @classmethod
    def open(cls, config: RunConfig, functions: Mapping[str, str] | None = None) -> Workspace:
        """Read the state of an earlier run; writes nothing.

        Args:
            config: The settings.
            functions: See above; None: as in the earlier run.

        Raises:
            TrainingError: There is an unfinished run and ``resume`` is off; or the run to resume
                has other settings; or the folder is not one of a run.
        """
        folder = cls.of(config).folder
        record = _read_record(folder)
        earlier = (record or {}).get("functions", {})
        functions = earlier if functions is None else functions
        if record is None:
            if folder.exists() and any(folder.iterdir()):
                raise TrainingError(
                    f"{folder} exists, but is not the folder of a training run.",
                    hint="Move it, or choose another --output.",
                )
            return cls(folder, config, None, False, functions)
        finished = bool(record.get("finished"))
        checkpoints = complete_checkpoints(folder)
        if not config.resume:
            if checkpoints and not finished:
                raise TrainingError(
                    f"{folder} holds an unfinished run ({checkpoints[-1].name}).",
                    hint="Continue it with --resume, or delete the folder to start again.",
                )
            return cls(folder, config, None, False, functions)
        _same_settings(record.get("config", {}), config, folder)
        for name in sorted({*earlier, *functions}):
            if earlier.get(name) != functions.get(name):
                raise TrainingError(
                    f"The run in {folder} was started with {earlier.get(name)!r} as {name}, and "
                    f"not {functions.get(name)!r}.",
                    hint="Resume it with the same functions, or delete the folder to start again.",
                )
        return cls(folder, config, checkpoints[-1] if checkpoints else None, finished, functions)

    @property
    def model(self) -> Path:
        """The finished checkpoint."""
        return self.folder / "model"

    @property
    def curve(self) -> Path:
        """Losses and scores of the run by step, as JSON Lines."""
        return self.folder / "curve.jsonl"

    @property
    def eval_file(self) -> Path:
        """The rows whose score chooses the checkpoint."""
        return self.folder / _EVAL

    @property
    def test_file(self) -> Path:
        """The rows for the quality gate and the report."""
        return self.folder / _TEST

    @property
    def rows_file(self) -> Path:
        """All training rows, if there are no evaluation rows."""
        return self.folder / _ROWS

    @property
    def calibration_file(self) -> Path:
        """Some training rows, to choose the scales of int8 activations on."""
        return self.folder / "calibration.jsonl.gz"

    @property
    def fold_file(self) -> Path:
        """The rows of a fold during a cross-validation."""
        return self.folder / "fold.jsonl.gz"

    @property
    def trial_file(self) -> Path:
        """The comparison of the probe with the fine-tuned model, as JSON."""
        return self.folder / "trial.json"

    @property
    def probe_file(self) -> Path:
        """The output layer that the probe fitted."""
        return self.folder / "probe.pt"

    @property
    def settings_file(self) -> Path:
        """All settings of the run, which repeat it, as TOML."""
        return self.folder / "settings.toml"

    @property
    def gate_file(self) -> Path:
        """The rows for the quality gate: the test rows, else those that chose the checkpoint, else
        those that trained the model."""
        return gate_file_of(self.folder) or self.eval_file

    def probe_scores(self) -> dict[str, float]:
        """The scores of the probe; empty if there are none."""
        return dict(_read_json(self.probe_file.with_suffix(".json")) or {})

    def keep_probe_scores(self, scores: Mapping[str, float]) -> None:
        """Store the scores of the probe for a resumed run."""
        text = json.dumps(dict(scores))
        self.probe_file.with_suffix(".json").write_text(text, encoding="utf-8")

    @property
    def search_file(self) -> Path:
        """The settings that a search tried, as JSON."""
        return self.folder / "search.json"

    @property
    def check_file(self) -> Path:
        """The check of the data, as JSON."""
        return self.folder / "check.json"

    @contextmanager
    def started(self) -> Iterator[None]:
        """Prepare the folder, and hold it until the block is left.

        Raises:
            TrainingError: Another process trains in the folder.
        """
        with self.held():  # what is there may be replaced
            self.start()
        with self.held():
            yield

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from training in the folder, if there is one.

        Raises:
            TrainingError: Another process trains in it.
        """
        if not self.folder.is_dir():
            yield
            return
        with sole_user(self.folder) as ours:
            if not ours:
                raise TrainingError(
                    f"Another process trains in {self.folder}.",
                    hint="Wait until it has ended, or choose another --output.",
                )
            yield

    def start(self) -> None:
        """Prepare the folder: record the settings, delete all but the checkpoints to continue."""
        if self.checkpoint is None:
            # In one step, so that the folder always has a record.
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with Staged(self.folder, folder=True) as staged:
                self._write_record(staged.path, _digests(self.config), finished=False)
                staged.commit()
            return
        keep = set(complete_checkpoints(self.folder))
        for path in self.folder.glob("checkpoint-*"):
            if path not in keep:
                shutil.rmtree(path)
        self._write_record(self.folder, self.digests(), finished=False)

    def remove_unless_begun(self) -> None:
        """Remove the folder of a run that failed before it had anything to continue from."""
        if not self.model.exists() and not complete_checkpoints(self.folder):
            shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self, scores: Mapping[str, float], facts: Mapping[str, Any]) -> None:
        """Record that ``model`` is complete, and delete the checkpoints.

        Args:
            scores: The scores of ``model``.
            facts: Further entries of the record, with the keys of ``RESULT``.
        """
        self._write_record(self.folder, self.digests(), finished=True, scores=dict(scores), **facts)
        for path in self.folder.glob("checkpoint-*"):
            shutil.rmtree(path)
        for path in self.folder.glob("seed-*.safetensors"):
            path.unlink()

    def result(self) -> dict[str, Any]:
        """The values that ``finish`` recorded."""
        record = _read_record(self.folder) or {}
        return {name: record[name] for name in RESULT if name in record}

    def digests(self) -> dict[str, str]:
        """The SHA-256 digests of the data files as they were when the run started, by source; as
        they are, if its record has none."""
        record = _read_record(self.folder) or {}
        return dict(record.get("digests") or _digests(self.config))

    def check_data(self) -> None:
        """Check that the data files of a run to continue are those that it started with.

        Raises:
            TrainingError: The content of a file has changed.
        """
        if self.checkpoint is None and not self.finished:
            return
        earlier = self.digests()
        changed = [
            source
            for source, now in _digests(self.config).items()
            if earlier.get(source, now) != now
        ]
        if changed:
            raise TrainingError(
                f"{changed[0]} has changed since the run in {self.folder} was started.",
                hint="Train without --resume to start again."
                if self.finished
                else "Restore the file, or delete the folder to start again.",
            )

    def _write_record(self, folder: Path, digests: Mapping[str, str], **result: Any) -> None:
        body = {
            **result,
            "config": self.config.model_dump(mode="json"),
            "digests": digests,
            "functions": dict(self.functions),
        }
        with Staged(folder / _RECORD) as staged:
            staged.path.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
            staged.commit()


def _digests(config: RunConfig) -> dict[str, str]:
    """The digests of the files among the data of a run; of a data set of the Hub there is none."""
    sources = [source for name in _SOURCES for source in getattr(config, name, ())]
    found = {source: digest(Path(source)) for source in sources}
    return {source: value for source, value in found.items() if value}


def complete_checkpoints(folder: Path, mark: str = COMPLETE) -> list[Path]:
    """The complete checkpoints, or those with another mark, oldest first."""
    found = [path.parent for path in folder.glob(f"checkpoint-*/{mark}")]
    return sorted(found, key=lambda path: int(path.name.rsplit("-", 1)[1]))


def recalled(config: Settings, names: Collection[str]) -> Settings:
    """The settings with those of an earlier run where they are not given.

    Args:
        config: The settings of a run to resume.
        names: The settings that a run chooses by itself.
    """
    record = _read_record(Workspace.of(config).folder) or {}
    earlier = record.get("config", {})
    return config.model_copy(
        update={
            name: earlier[name]
            for name in names
            if name in earlier and name not in config.model_fields_set
        }
    )


def _read_record(folder: Path) -> dict[str, Any] | None:
    return _read_json(folder / _RECORD)


def _read_json(file: Path) -> dict[str, Any] | None:
    try:
        record = parse_json(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _same_settings(earlier: dict[str, Any], config: RunConfig, folder: Path) -> None:
    now = config.model_dump(mode="json")
    # A setting that did not exist when the run started counts as its default.
    fields = type(config).model_fields
    earlier = {name: field.get_default() for name, field in fields.items()} | earlier
    # A plan chooses the settings that are not given, and a resumed run recalls them.
    free = _CHANGEABLE | (CHOSEN - config.model_fields_set)
    free |= _LENGTH if now.get("schedule") == _CONSTANT else frozenset()
    changed = [
        f"{key} was {earlier.get(key)!r}, is {now[key]!r}"
        for key in now
        if key not in free and earlier.get(key) != now[key]
    ]
    if changed:
        raise TrainingError(
            f"The run in {folder} was started with other settings: {'; '.join(changed)}.",
            hint="Use the same settings, or delete the folder to start again.",
        )
