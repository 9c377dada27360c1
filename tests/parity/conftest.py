"""Checkpoints, exported once a session, behind transformers' pipelines and behind ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from parity.compare import Tally
from parity.models import ARCHITECTURES, MORE, make_checkpoint
from parity.summary import PROPERTY, REPORT

from nlplug.pipelines import Pipeline
from nlplug.plugins import PluginHost


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny models gain nothing by more, and the tests run beside others."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def some(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    """One of so many inputs, evenly drawn; all of them where the run writes the report."""
    whole = request.config.getoption(REPORT) is not None

    def draw(inputs: Sequence[Any], every: int = 3) -> list[Any]:
        return list(inputs if whole else inputs[::every])

    return draw


@pytest.fixture(scope="session")
def host() -> PluginHost:
    return PluginHost.discover()


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, host: PluginHost
) -> Callable[..., tuple[Path, Any]]:
    """Checkpoint and export report for an architecture and a task; made at the first call."""
    from nlplug.export.run import ExportConfig, export_model

    @cache
    def make(architecture: str, task: str, **settings: Any) -> tuple[Path, Any]:
        folder = tmp_path_factory.mktemp(f"{architecture}-{task}")
        found = host.task(task)
        checkpoint = make_checkpoint(
            (ARCHITECTURES | MORE)[architecture], found.hub_task, folder / "checkpoint", **settings
        )
        config = ExportConfig(
            checkpoint, folder / "bundle", found, precisions=("fp32", "int8"), budget=1.0
        )
        return checkpoint, export_model(config)

    return make


@pytest.fixture(scope="session")
def ours(exported: Callable[..., tuple[Path, Any]], host: PluginHost) -> Callable[..., Pipeline]:
    """Our pipeline, on the float32 graph."""

    @cache
    def make(architecture: str, task: str, **settings: Any) -> Pipeline:
        _, report = exported(architecture, task, **settings)
        return Pipeline(host.task(task), report.bundle, precision="fp32", threads=1)

    return make


@pytest.fixture(scope="session")
def theirs(exported: Callable[..., tuple[Path, Any]], host: PluginHost) -> Callable[..., Any]:
    """transformers' pipeline, on the checkpoint that ours was exported from."""
    import transformers

    @cache
    def make(architecture: str, task: str, **settings: Any) -> Any:
        checkpoint, _ = exported(architecture, task, **settings)
        return transformers.pipeline(host.task(task).hub_task, model=str(checkpoint), device="cpu")

    return make


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Callable[..., Tally]]:
    """Makes tallies that the summary at the end of the run shows."""
    made: list[Tally] = []

    def make(task: str, model: str, setting: str) -> Tally:
        made.append(Tally(task, model, setting))
        return made[-1]

    yield make
    request.node.user_properties.extend((PROPERTY, one.record()) for one in made)
