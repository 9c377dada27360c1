"""Tiny models, hosts and servers for the tests of the HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from plugin_zoo import install_zoo
from server_kit import WAIT, Gate, GatedTask, running

from nlplug import Bundle, Pipeline, PluginHost
from nlplug.server import create_app
from nlplug.testing import tiny_text_classifier


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bag of words: "good" is positive, "bad" negative, "dull" rather negative."""
    return tiny_text_classifier(tmp_path_factory.mktemp("tiny") / "tiny-classifier")


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site-packages of a healthy plugin (task ``tone``, model ``tone-tiny``), five broken."""
    return install_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def host(zoo: Path) -> Iterator[PluginHost]:
    """The host of the zoo."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(zoo))
        yield PluginHost.discover(path=[str(zoo)])


@pytest.fixture
def empty_host(tmp_path: Path) -> PluginHost:
    """A host where nothing is installed."""
    return PluginHost.discover(path=[str(tmp_path)])


@pytest.fixture
def connect() -> Iterator[Callable[[FastAPI], httpx.Client]]:
    """Runs an app and gives a client of it; both end with the test."""
    with ExitStack() as stack:

        def start(app: FastAPI) -> httpx.Client:
            address = stack.enter_context(running(app))
            return stack.enter_context(httpx.Client(base_url=address, timeout=WAIT))

        yield start


@pytest.fixture(scope="module")
def client(host: PluginHost) -> Iterator[httpx.Client]:
    """A client of a server of all that the zoo has."""
    with (
        running(create_app(host)) as address,
        httpx.Client(base_url=address, timeout=WAIT) as client,
    ):
        yield client


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opens at the end, so that no thread is left waiting."""
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def gated(gate: Gate, bundle: Bundle) -> Iterator[Pipeline]:
    """A loaded pipeline behind the gate."""
    with Pipeline(GatedTask(gate), bundle, threads=1) as pipe:
        yield pipe
