"""Kills a process before each step in which it changes the disk, and tells what is left.

``python killed_kit.py SCENARIO FOLDER`` runs a scenario in a process without threads, which forks
once for each step, and prints the outcomes as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

_EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "ctypes.dlsym"}


@dataclass
class Outcome:
    """What was found after a kill.

    Attributes:
        killed: Whether the process was killed; False only for the last one, which was through.
        state: What is at the target: "nothing", "old", "new", or what is wrong.
        again: The same after the command was run again.
        left: Names beside the target after that.
    """

    killed: bool
    state: str
    again: str
    left: list[str]


@dataclass(frozen=True)
class Scenario:
    """A command that writes.

    Attributes:
        write: Runs it in a folder.
        state: Says what is at its target.
        prepare: Makes what is there before.
        ignored: Names in the folder that are no result.
    """

    write: Callable[[Path], object]
    state: Callable[[Path], str]
    prepare: Callable[[Path], object] = lambda folder: None
    ignored: frozenset[str] = frozenset()


def killed_everywhere(scenario: str, folder: Path) -> list[Outcome]:
    """Run a scenario in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, scenario, str(folder)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [Outcome(**one) for one in json.loads(done.stdout)]


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    return event in _EVENTS or (event == "open" and bool(arguments[2] & writes))


def _killed_at(number: int, write: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        seen = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if _changes(event, arguments):
                seen += 1
                if seen > number:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        write()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL


def _run(scenario: Scenario, work: Path) -> list[Outcome]:
    (work / "first").mkdir(parents=True)
    scenario.prepare(work / "first")
    scenario.write(work / "first")  # so that all imports are done
    found: list[Outcome] = []
    while not found or found[-1].killed:
        folder = work / str(len(found))
        folder.mkdir()
        scenario.prepare(folder)
        killed = _killed_at(len(found), partial(scenario.write, folder))
        state = scenario.state(folder)
        scenario.write(folder)
        left = sorted(set(os.listdir(folder)) - scenario.ignored)
        found.append(Outcome(killed, state, scenario.state(folder), left))
    return found


def _pack_config() -> Any:
    from nlplug.models.pack import PackConfig

    return PackConfig("packed", task="tone", force=True)


def _bundle() -> Any:
    """One bundle for all steps."""
    from nlplug.models.bundle import Bundle
    from nlplug.testing import tiny_text_classifier

    folder = Path(sys.argv[2]) / "bundle"
    return Bundle.open(folder) if folder.is_dir() else tiny_text_classifier(folder)


def _pack_wheel(folder: Path) -> None:
    from nlplug.models.pack import pack_wheel

    pack_wheel(_bundle(), folder, _pack_config())


def _wheel_state(folder: Path) -> str:
    import zipfile

    wheel = folder / "packed-0.1.0-py3-none-any.whl"
    if not wheel.exists():
        return "nothing"
    if wheel.read_bytes() == b"old":
        return "old"
    with zipfile.ZipFile(wheel) as archive:
        whole = archive.testzip() is None and "packed-0.1.0.dist-info/RECORD" in archive.namelist()
    return "new" if whole else "half"


def _old_wheel(folder: Path) -> None:
    (folder / "packed-0.1.0-py3-none-any.whl").write_bytes(b"old")


def _pack_folder(folder: Path) -> None:
    from nlplug.errors import OptionError
    from nlplug.models.pack import pack_folder

    try:
        pack_folder(_bundle(), folder, _pack_config())
    except OptionError as error:
        if "exists already" not in error.message:
            raise


def _source_state(folder: Path) -> str:
    from nlplug.models.bundle import Bundle

    target = folder / "packed"
    if not target.exists():
        return "nothing"
    Bundle.open(target / "nlplug_model_packed" / "bundle", verify=True)
    return "new" if (target / "pyproject.toml").is_file() else "half"


def _write_rows(folder: Path) -> None:
    from nlplug.data.writers import open_writer

    with open_writer(folder / "out.json") as writer:
        for number in range(3):
            writer.write({"row": number})


def _rows_state(folder: Path) -> str:
    path = folder / "out.json"
    if not path.exists():
        return "nothing"
    rows = json.loads(path.read_text())
    return {0: "old", 3: "new"}[len(rows)]


def _scaffold(folder: Path) -> None:
    from nlplug.errors import PluginError
    from nlplug.scaffold import write_package

    try:
        write_package("mood", folder)
    except PluginError as error:
        if "exists already" not in error.message:
            raise


def _scaffold_state(folder: Path) -> str:
    from nlplug.models.bundle import Bundle

    target = folder / "nlplug-mood"
    if not target.exists():
        return "nothing"
    Bundle.open(target / "nlplug_mood" / "model", verify=True)
    return "new" if (target / "pyproject.toml").is_file() else "half"


def _training(folder: Path, *, resume: bool = False) -> Any:
    from nlplug.families.sequence_classification.settings import SequenceClassificationConfig
    from nlplug.train.workspace import Workspace

    config = SequenceClassificationConfig.model_construct(
        output=folder / "out", resume=resume, schedule="linear"
    )
    return Workspace.open(config)


def _start_training(folder: Path) -> None:
    _training(folder).start()


def _finished_training(folder: Path) -> None:
    work = _training(folder)
    work.start()
    for name in ("checkpoint-9", "model"):
        (work.folder / name).mkdir()
        (work.folder / name / "complete").touch()
    work.finish({"accuracy": 1.0}, {"steps": 9})


def _training_state(folder: Path) -> str:
    found = _training(folder)  # raises if it is neither empty nor a run
    if not found.folder.exists():
        return "nothing"
    record = json.loads((found.folder / "run.json").read_text())
    if record["finished"]:
        return "old" if (found.folder / "model" / "complete").exists() else "half"
    return "new" if os.listdir(found.folder) == ["run.json"] else "half"


def _stage_folder(folder: Path) -> None:
    from nlplug.models.atomic import Staged

    with Staged(folder / "out", folder=True) as staged:
        for name in ("a", "b"):
            (staged.path / name).write_text("new")
        staged.commit()


def _staged_state(folder: Path) -> str:
    target = folder / "out"
    if not target.exists():
        return "nothing"
    found = {path.name: path.read_text() for path in target.iterdir()}
    return {2: "new", 3: "old"}[len(found)] if len({*found.values()}) == 1 else "half"


def _old_folder(folder: Path) -> None:
    (folder / "out").mkdir()
    for name in ("a", "b", "c"):
        (folder / "out" / name).write_text("old")


SCENARIOS = {
    "pack": Scenario(_pack_wheel, _wheel_state),
    "pack again": Scenario(_pack_wheel, _wheel_state, _old_wheel),
    "pack sources": Scenario(_pack_folder, _source_state),
    "rows": Scenario(_write_rows, _rows_state),
    "rows again": Scenario(
        _write_rows, _rows_state, lambda folder: (folder / "out.json").write_text("[]")
    ),
    "new plugin": Scenario(_scaffold, _scaffold_state),
    "training": Scenario(_start_training, _training_state),
    "training again": Scenario(_start_training, _training_state, _finished_training),
    "folder": Scenario(_stage_folder, _staged_state),
    "folder again": Scenario(_stage_folder, _staged_state, _old_folder),
}


if __name__ == "__main__":
    print(json.dumps([asdict(one) for one in _run(SCENARIOS[sys.argv[1]], Path(sys.argv[2]))]))
