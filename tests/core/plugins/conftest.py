"""A folder that stands for ``site-packages``: what a test installs there is gone afterwards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugin_zoo import BROKEN, HEALTHY, install, install_zoo

from nlplug import PluginHost

PREAMBLE = """
from nlplug import Display, Example, ModelSpec, Task, TaskInput, TaskOptions, TextInput, hookimpl
from nlplug.families.family import Family


class Plain(Task):
    name = "plain"
    title = "Plain"
    description = "A task that only the loader sees."
    family = Family("plain")
    hub_task = "text-classification"
    Output = list[dict[str, float]]
    display = Display.LABEL

    def load(self, bundle, **settings):
        raise NotImplementedError
"""

Write = Callable[..., PluginHost]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def write(site: Path) -> Write:
    """Install one plugin of one module, after the preamble above, and give the host."""

    def write(
        source: str,
        *names: str,
        dist: str = "nlplug-plain",
        module: str = "plain_plugin",
        strict: bool = False,
        **metadata: dict[str, str],
    ) -> PluginHost:
        plugins = {name: module for name in names or ("plain",)}
        install(site, dist, {module: PREAMBLE + source}, plugins=plugins, **metadata)
        return PluginHost.discover(path=[str(site)], strict=strict)

    return write


@pytest.fixture
def zoo(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The healthy plugin and the five broken ones, importable."""
    for specimen in (HEALTHY, *BROKEN):
        # Another test's zoo stood in another folder.
        monkeypatch.delitem(sys.modules, specimen.module, raising=False)
    return install_zoo(site)
