"""What all tests share: the data folder, and an environment that no user setting leaks into."""

from __future__ import annotations

import gc
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What the tests import makes objects by the million that stay. To look through them again and again
# takes a quarter of the time of these imports, and half of that of the tests that train; see
# `pytest_runtestloop`.
gc.disable()

# How long an example takes depends on what else the machine does.
settings.register_profile("nlplug", deadline=None)
settings.load_profile("nlplug")

# Two workers on two cores: libraries that take every core for themselves would fight each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The programs that the tests start keep what Python has compiled, as on the machines of users.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that runs the tests in its background has them ignore Ctrl-C, and their children too.
if (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


TRAINING = ("torch", "transformers")
_TRAINING = r"(torch|transformers|nlplug\.(train|export|families\.\w+\.training))\b"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the modules that import PyTorch, where only what serving needs is installed."""
    name = collection_path.name
    if not name.startswith("test_") or collection_path.suffix != ".py":
        return None
    return True if _trains(collection_path) and not all(map(find_spec, TRAINING)) else None


@cache
def _trains(path: Path) -> bool:
    """Whether a module imports a library for training, itself or through a kit of the tests."""
    pattern = r"^(?:from|import) ([\w.]+)"
    names = re.findall(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    kits = [
        folder / f"{name.replace('.', '/')}.py"
        for name in names
        for folder in (ROOT / "tests", path.parent)
    ]
    return any(re.match(_TRAINING, name) for name in names) or any(
        _trains(kit) for kit in kits if kit.is_file() and kit != path
    )


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def made_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], None]], Path]:
    """A folder that is made by the worker that asks for it first, and read by all of this run."""
    from nlplug.models.atomic import exclusive

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # the folder of a worker is in that of the run

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        made = shared / name
        with exclusive(shared / f"{name}.lock"):
            if not made.exists():
                make(unfinished := tmp_path_factory.mktemp(name))
                unfinished.rename(made)
        return made

    return folder


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with ``train/`` and ``dev/`` that ``NLPLUG_DATA`` names; skips without it."""
    value = os.environ.get("NLPLUG_DATA")
    if not value:
        pytest.skip("NLPLUG_DATA is not set: it names a folder that holds train/ and dev/")
    return Path(value)


@pytest.fixture(autouse=True)
def _clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No setting of the person who runs the tests, and never their cache of models."""
    for name in ("DEBUG", "OFFLINE", "PLUGINS", "STRICT", "THREADS"):
        monkeypatch.delenv(f"NLPLUG_{name}", raising=False)
    monkeypatch.setenv("NLPLUG_CACHE", str(tmp_path_factory.getbasetemp() / "nlplug-cache"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """From now on garbage is collected, seldom, and not looked for in what the imports made.

    Unlike the end of collecting, this comes in the process that starts the workers too.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--parity-report", type=Path, metavar="FILE", help="write the parity tables as Markdown"
    )
    parser.addoption(
        "--dropin-report", action="store_true", help="write the table of calls in docs/dropin.md"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The parity tables, where the parity tests were run."""
    from parity.summary import REPORT, show

    show(terminalreporter, config.getoption(REPORT))


_LONG = {"browser", "install", "train"}


def _takes_long(item: pytest.Item) -> bool:
    """Whether a test starts commands, browsers or trainings, or reads a data set."""
    folder = item.path.relative_to(ROOT / "tests").parent.as_posix()
    marks = {mark.name for mark in item.iter_markers()}
    names = getattr(item, "fixturenames", ())
    return folder in (".", "e2e") or bool(_LONG & marks) or "data_folder" in names


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the files, and skip the tests for a CUDA device where there is none.

    Those that take long, and that other tests cover in part, are skipped unless `make long` runs,
    or the parity tests write their report.
    """
    from parity.summary import REPORT

    # A worker that began a file of a few long tests at the end would work alone, so these come
    # first, and then those with most tests.
    tests = Counter(item.path for item in items)
    long = {item.path for item in items if _takes_long(item)}
    items.sort(key=lambda item: (item.path not in long, -tests[item.path], item.path))
    if not os.environ.get("NLPLUG_LONG") and config.getoption(REPORT) is None:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="NLPLUG_LONG is not set; see `make long`"))
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    from nlplug.runtime.device import Device

    if Device("cuda").present:
        return
    skip = pytest.mark.skip(reason="this ONNX Runtime is built without CUDA, or there is no driver")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)
