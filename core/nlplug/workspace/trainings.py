"""Training runs of a workspace: each is ``nlplug train`` in a process of its own.

All state is on the disk. A run is at work as long as its process holds the lock on its lock file,
which the system takes back when the process ends in any way.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlplug.errors import DataError, MissingExtra, OptionError, TrainingError
from nlplug.families.family import load
from nlplug.json_text import parse_json
from nlplug.models.atomic import Staged, exclusive, is_locked, lock
from nlplug.workspace.datasets import DataSet
from nlplug.workspace.folder import WorkspaceFolder, read_json, write_json

if TYPE_CHECKING:
    from nlplug.data.check import DataCheck
    from nlplug.task import Task

State = Literal["running", "finished", "stopped", "failed"]
EFFORTS: Mapping[str, float] = {"quick": 0.4, "standard": 1.0, "thorough": 2.5}
"""Effort → factor of the number of epochs that ``nlplug train`` chooses by itself."""
_RECORD = "run.json"
_STOPPING = "stopping"
_STOPPED = (130, 143, None)
"""Exit codes of a run that was interrupted; None: it was killed."""
_LOG_BYTES = 64 * 1024
_FIXED = frozenset({"data", "output", "resume", "eval", "test", "report_to"})
"""Settings that a run of a workspace sets itself, or that name other files."""


@dataclass(frozen=True)
class TrainingRun:
    """A training run.

    Attributes:
        workspace: The workspace.
        name: Its name, which is also the name of its model.
        record: Task, data set, effort, settings and command.
    """

    workspace: WorkspaceFolder
    name: str
    record: Mapping[str, Any]

    @classmethod
    def open(cls, workspace: WorkspaceFolder, name: str) -> TrainingRun:
        """A run of a workspace.

        Raises:
            OptionError: There is none of this name.
        """
        record = read_json(workspace.place("runs", name) / _RECORD)
        if record is None:
            known = ", ".join(workspace.names("runs", _RECORD)) or "none"
            raise OptionError(f"There is no training run {name!r}.", hint=f"There are: {known}.")
        return cls(workspace, name, record)

    @classmethod
    def all(cls, workspace: WorkspaceFolder) -> list[TrainingRun]:
        """The runs of a workspace, the latest first."""
        runs = [cls.open(workspace, name) for name in workspace.names("runs", _RECORD)]
        return sorted(runs, key=lambda run: -float(run.record.get("created", 0)))

    @classmethod
    def start(
        cls,
        workspace: WorkspaceFolder,
        name: str,
        data: DataSet,
        task: Task,
        *,
        base: str = "",
        effort: str = "standard",
        settings: Mapping[str, Any] | None = None,
    ) -> TrainingRun:
        """Start a run on a copy of the rows that a data set has now.

        Args:
            workspace: The workspace.
            name: Name of the run and of its model.
            data: The data set.
            task: Its task.
            base: Folder or Hub id of a pretrained checkpoint; empty: that of the task.
            effort: One of `EFFORTS`.
            settings: Further settings of ``nlplug train``, by name.

        Raises:
            OptionError: The name is in use, or a setting is not valid.
            DataError: The data cannot be read, or not be trained on.
            MissingExtra: The packages for training are not installed.
            TrainingError: Another run of the workspace is still running.
        """
        check_packages()
        folder = workspace.place("runs", name)
        if folder.exists() or workspace.place("models", name).exists():
            raise OptionError(f"{name!r} exists already.", hint="Choose another name for the run.")
        check, chosen = plan(data, task, base=base, effort=effort, settings=settings)
        if check.errors:
            raise check.errors[0]
        with exclusive(workspace.path / ".runs.lock"):
            _none_at_work(workspace)
            with Staged(folder, folder=True) as staged:
                shutil.copy(data.file(), staged.path / "rows.jsonl")
                command = ["train", task.name, "--data", str(folder / "rows.jsonl")]
                command += ["--output", str(workspace.place("models", name))]
                command += _words({"progress_seconds": 2, **chosen})
                record = {
                    "task": task.name,
                    "dataset": data.name,
                    "base": base,
                    "effort": effort,
                    "created": time.time(),
                    "command": command,
                }
                write_json(staged.path / _RECORD, record)
                staged.commit(replace=False)
            run = cls(workspace, name, record)
            run._spawn()
        return run

    def resume(self) -> None:
        """Continue a run that was stopped, from its last checkpoint.

        Raises:
            TrainingError: It was not stopped, or another run is still running.
        """
        with exclusive(self.workspace.path / ".runs.lock"):
            if self.state not in ("stopped", "failed"):
                raise TrainingError(
                    f"The run {self.name!r} is {self.state}.",
                    hint="Only a run that was stopped or failed can be continued.",
                )
            _none_at_work(self.workspace)
            command = [*self.record["command"]]
            command += [] if "--resume" in command else ["--resume"]
            write_json(self.folder / _RECORD, {**self.record, "command": command})
            for name in ("ended.json", _STOPPING):
                (self.folder / name).unlink(missing_ok=True)
            self._spawn()

    def stop(self) -> None:
        """Ask a run to save a checkpoint and end; a second time: to end at once.

        Raises:
            TrainingError: It is not running.
        """
        # Not between the start of a process and the note of its number.
        with exclusive(self.workspace.path / ".runs.lock"):
            if self.state != "running":
                raise TrainingError(f"The run {self.name!r} is not running.", hint="See its log.")
            (self.folder / _STOPPING).touch()
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(int((self.folder / "pid").read_text(encoding="utf-8")), signal.SIGTERM)

    def delete(self) -> None:
        """Delete the run with its model, checkpoints and report.

        Raises:
            TrainingError: It is running.
        """
        if self.state == "running":
            raise TrainingError(f"The run {self.name!r} is running.", hint="Stop it first.")
        for path in (self.folder, self.model, self.training, self.report):
            if path.exists():
                shutil.rmtree(path)

    @property
    def folder(self) -> Path:
        """The folder with settings, rows and log."""
        return self.workspace.place("runs", self.name)

    @property
    def model(self) -> Path:
        """The folder of the finished model."""
        return self.workspace.place("models", self.name)

    @property
    def training(self) -> Path:
        """The folder of checkpoints and curve."""
        return self.model.with_name(f"{self.name}.training")

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.model.with_name(f"{self.name}.report")

    @property
    def command(self) -> str:
        """The command that does the same in a terminal."""
        return shlex.join(["nlplug", *self.record["command"]])

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs, and if the process was killed."""
        ended = read_json(self.folder / "ended.json")
        return None if ended is None else int(ended["code"])

    @property
    def state(self) -> State:
        """``running``, ``finished``, ``stopped`` (can be continued) or ``failed``."""
        if is_locked(self.folder / "lock"):
            return "running"
        code = self.code
        if code in _STOPPED:
            return "stopped"
        return "finished" if code == 0 else "failed"

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop, and still saves its checkpoint."""
        return (self.folder / _STOPPING).exists() and self.state == "running"

    def log(self) -> str:
        """The end of what the run printed."""
        file = self.folder / "log.txt"
        if not file.is_file():
            return ""
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - _LOG_BYTES))
            return opened.read().decode("utf-8", "replace")

    def curve(self) -> list[dict[str, Any]]:
        """Losses and scores by step."""
        file = self.training / "curve.jsonl"
        if not file.is_file():
            return []
        # The last line may be incomplete while the run writes it.
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        return [parse_json(line) for line in lines if line]

    def numbers(self) -> dict[str, Any]:
        """The values of the report; empty if there is none yet."""
        return read_json(self.report / "report.json") or {}

    def _spawn(self) -> None:
        held = lock(self.folder / "lock", wait=True)
        with held, (self.folder / "log.txt").open("ab") as log:
            log.write(f"$ {self.command}\n".encode())
            log.flush()
            # The process inherits the lock, and outlives the one that started it.
            process = subprocess.Popen(
                [sys.executable, "-m", "nlplug.workspace.worker", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[held.fileno()],
                start_new_session=True,
                cwd=self.workspace.path,
            )
            (self.folder / "pid").write_text(str(process.pid), encoding="utf-8")
        threading.Thread(target=process.wait, daemon=True).start()


def check_packages() -> None:
    """Check that the packages for training are installed.

    Raises:
        MissingExtra: One of them is missing.
    """
    for module in ("torch", "transformers", "accelerate", "onnx"):
        if find_spec(module) is None:
            raise MissingExtra(
                f"Training needs the package {module!r}, which is not installed.",
                hint="pip install 'nlplug[train]'",
            )


def plan(
    data: DataSet,
    task: Task,
    *,
    base: str = "",
    effort: str = "standard",
    settings: Mapping[str, Any] | None = None,
) -> tuple[DataCheck, dict[str, Any]]:
    """Check a data set for training, and choose the settings of an effort.

    Args:
        data: The data set.
        task: Its task.
        base: See `TrainingRun.start`.
        effort: See `TrainingRun.start`.
        settings: See `TrainingRun.start`.

    Returns:
        The check with the expected time, and the settings to give to ``nlplug train``.

    Raises:
        OptionError: A setting is not valid.
        DataError: The data set has no rows, or they cannot be read.
    """
    from nlplug.data.lengths import estimate
    from nlplug.train.check import check_files
    from nlplug.train.config import validated

    if effort not in EFFORTS:
        raise OptionError(f"{effort!r} is not an effort.", hint=f"Use {', '.join(EFFORTS)}.")
    given = {name: value for name, value in (settings or {}).items() if value not in ("", None)}
    if fixed := sorted(_FIXED & given.keys()):
        raise OptionError(
            f"{fixed[0]!r} cannot be set here.", hint="A workspace sets it. Use nlplug train."
        )
    if not data.count():
        raise DataError(
            f"The data set {data.name!r} has no labelled rows.",
            hint="Import a file with answers, or label texts.",
        )
    if base:
        given["base"] = base
    model = load(task.family.settings)
    needed = {"data": [str(data.file())], "output": "model"}
    check, planned = check_files(task, validated(model, {**needed, **given}))
    if EFFORTS[effort] != 1 and "epochs" not in given and "epochs" in model.model_fields:
        given["epochs"] = max(1.0, round(planned.epochs * EFFORTS[effort], 1))
        validated(model, {**needed, **given})
        check.estimate = estimate(check.rows["train"], given["epochs"], check.lengths, planned.base)
    return check, given


def _none_at_work(workspace: WorkspaceFolder) -> None:
    busy = next((run for run in TrainingRun.all(workspace) if run.state == "running"), None)
    if busy is not None:
        raise TrainingError(
            f"The run {busy.name!r} is still running.", hint="Wait until it ends, or stop it."
        )


def _words(settings: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, list):
            words += [flag, ",".join(map(str, value))]
        else:
            words += [flag, str(value)]
    return words


def trained_models(workspace: WorkspaceFolder, task: str) -> list[str]:
    """The folders of the models that runs of a workspace have made for a task.

    Args:
        workspace: The workspace.
        task: Name of the task.
    """
    return [
        str(run.model)
        for run in TrainingRun.all(workspace)
        if run.record.get("task") == task and run.model.is_dir()
    ]
