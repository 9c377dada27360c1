"""What tests of the web UI need: plugins of every display, a real server, a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plugin_zoo import install, install_zoo

from nlplug.models.manifest import Manifest
from nlplug.models.writer import BundleWriter
from nlplug.testing import tiny_translator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

WAIT = 300.0
"""Seconds after which something that never happens fails the test."""


def choose_file(page: Page, source: Path) -> None:
    """Open the tab of batches, and choose a file there."""
    page.get_by_role("radio", name="Batch").click()
    page.locator("#batch-file input[type=file]").set_input_files(source)


def cached_translator(cache: Path, folder: Path) -> Path:
    """Put the model acme/fr-en into a cache, as if it was downloaded; its folder there."""
    pair = {"source_lang": "fr", "target_lang": "en"}
    words = {"le": "the", "chat": "cat", "dort": "sleeps"}
    tiny = tiny_translator(folder / "tiny", words, tokenizer_config=pair).path
    target = cache / "models" / "acme--fr-en"
    with BundleWriter(target, in_cache=True) as writer:
        shutil.copytree(tiny, writer.folder, dirs_exist_ok=True)
        writer.commit(Manifest(name="acme/fr-en", hub_task="translation"))
    return target


PALETTE = '''
"""Tasks that show their answers in other ways than bars, and one that fails, on one tiny model."""

from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Literal

from pydantic import Field

from nlplug import Display, Example, ModelSpec, hookimpl
from nlplug.families.family import Family
from nlplug.families.one_pass import OnePassTask
from nlplug.families.sequence_classification import (
    SequenceClassificationInput,
    SequenceClassificationModel,
    SequenceClassificationOptions,
)
from nlplug.runtime.answers import Answers, TextPiece
from nlplug.task import StreamingRunner

MODEL = Path(__file__).parent / "zoo_tone_model"
WORK = bytes(4_000_000)


class Input(SequenceClassificationInput):
    words: list[str] = ["good"]


class Options(SequenceClassificationOptions):
    case: Literal["keep", "upper"] = "keep"
    threshold: float = Field(0.5, ge=0, le=1, description="Leave out what scores less.")


class Base(OnePassTask):
    family = Family("palette")
    hub_task = "text-classification"
    Input = Input
    Options = Options
    Output = list[dict]
    default_model = "palette-tiny"

    def bind(self, bundle):
        task = self

        class Model(SequenceClassificationModel):
            def decode(self, item, rows, outputs, options):
                return task.show(item, options)

        return Model(bundle)


class Spans(Base):
    name = "spans"
    title = {"en": "Find words", "zh": "查找词语"}
    description = {"en": "Where do words stand in a text?", "zh": "词语出现在文本的哪里?"}
    display = Display.HIGHLIGHT
    examples = (Example({"text": "A good day in a good town.", "words": ["good", "town"]}),)

    def show(self, item, options):
        found = []
        for word in item.words:
            start = item.text.find(word)
            while start >= 0:
                end = start + len(word)
                found.append({"entity_group": word.upper(), "score": 1.0, "word": word,
                              "start": start, "end": end})
                start = item.text.find(word, end)
        return found


class Shout(Base):
    name = "shout"
    title = "Shout"
    description = "The text again, louder."
    display = Display.TEXT

    def show(self, item, options):
        text = item.text.upper() if options.case == "upper" else item.text
        return [{"generated_text": text + "!"}]


class Count(Base):
    name = "count"
    title = "Count"
    description = "How long is each word?"
    display = Display.TABLE

    def show(self, item, options):
        return [{"word": word, "length": len(word)} for word in item.text.split()]


class Boom(Base):
    name = "boom"
    title = "Boom"
    description = "Fails whatever it is given."
    display = Display.LABEL

    def show(self, item, options):
        raise ZeroDivisionError("a fault of the plugin")


class DripOptions(Options):
    length: int = Field(0, ge=0, description="How many words come; 0 for words without end.")
    copies: int = Field(1, ge=1, le=9, description="How many texts.")
    tongue: str | None = Field(None, json_schema_extra={"of_model": True})
    return_full_text: bool = True


class Dripping(StreamingRunner):
    """Words one by one; a file says how many came before somebody ended them."""

    device = "cpu"

    def map(self, inputs, options):
        def texts(stop):
            for item in inputs:
                yield [{"generated_text": f"{item.text} text {place}"}
                       for place in range(options.copies)]

        return Answers(texts)

    def stream(self, item, options):
        from nlplug.errors import InputError, OptionError
        if options.copies > 1:
            raise OptionError("several texts do not come piece by piece")

        def words():
            said = 0
            try:
                for said in count(1):
                    if item.text == "fail" and said == 3:
                        raise InputError("The third word is missing.", hint="Take another text.")
                    sha256(WORK)  # takes as long as a token
                    end = "length" if said == options.length else None
                    yield TextPiece(f" {options.tongue or 'word'}{said}", end, said)
                    if end:
                        return
            finally:
                Path(__file__).with_name("drip.log").write_text(str(said))

        return words()

    def open(self):
        pass

    close = open


class Drip(Base):
    name = "drip"
    title = "Drip"
    description = "Word after word."
    hub_task = "text-generation"
    display = Display.TEXT
    Input = SequenceClassificationInput
    Options = DripOptions
    default_model = "drip-tiny"
    family = Family("drip", streams=True, continues_input=True,
                    hub_shape="nlplug.server.protocols.text_generation:GENERATED")

    def load(self, bundle, **settings):
        return Dripping()

    def choices(self, bundle):
        return {"tongue": {"fr": {"en": "French", "zh": "法语"}, "de": {"en": "German"}}}


@hookimpl
def register_tasks():
    return [Spans(), Shout(), Count(), Boom(), Drip()]


@hookimpl
def register_models():
    return [
        ModelSpec(name="palette-tiny", task="spans", path=MODEL),
        ModelSpec(name="drip-tiny", task="drip", path=MODEL),
    ]


@hookimpl(optionalhook=True)
def register_panels():
    from nlplug_webui import Panel

    def build(context):
        import gradio as gr

        name = gr.Textbox(label="Name", elem_id="name")
        answer = gr.HTML(elem_id="greeting")
        name.submit(lambda text: f"Hello {text}", name, answer)

    def broken(context):
        raise RuntimeError("no such widget")

    return [
        Panel(name="hello", title={"en": "Hello", "zh": "你好"}, build=build),
        Panel(name="halfway", title="Halfway", build=broken),
    ]
'''


def install_plugins(site: Path) -> Path:
    """The zoo (one healthy plugin, five broken) and the palette, as installed packages."""
    install_zoo(site)
    names = ("spans", "shout", "count", "boom", "drip")
    install(
        site,
        "nlplug-palette",
        {"palette": PALETTE},
        plugins={name: "palette" for name in names},
    )
    return site


@contextmanager
def web_server(
    *arguments: str, site: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of ``nlplug webui`` in a process of its own, on a port that is free.

    Args:
        *arguments: More arguments of the command.
        site: A folder of further installed packages.
        environment: Further variables.
    """
    variables = {**os.environ, **(environment or {}), "PYTHONUNBUFFERED": "1"}
    if site is not None:
        variables["PYTHONPATH"] = os.pathsep.join(
            [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    process = subprocess.Popen(
        [sys.executable, "-m", "nlplug", "webui", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables,
    )
    watch = threading.Timer(WAIT, process.kill)
    watch.start()
    said: list[str] = []
    try:
        address = _address(process, said)
        watch.cancel()
        yield address
    finally:
        watch.cancel()
        process.terminate()
        process.wait(WAIT)
        if process.stdout:
            process.stdout.close()


class LastingServer:
    """A server that can be ended and started again at the same port.

    Args:
        stack: Ends it at last.
        *words: More arguments of the command.
        **settings: Those of `web_server`.

    Attributes:
        address: Its address.
    """

    def __init__(self, stack: ExitStack, *words: str, **settings: Any) -> None:
        self._stack = stack
        self._words = words
        self._settings = settings
        self._port = "0"
        self._running: ExitStack | None = None
        self.start()

    def start(self) -> None:
        self._running = self._stack.enter_context(ExitStack())
        words = (*self._words, "--port", self._port)
        self.address = self._running.enter_context(web_server(*words, **self._settings))
        self._port = str(urlsplit(self.address).port)

    def stop(self) -> None:
        if self._running is not None:
            self._running.close()


def _address(process: subprocess.Popen[str], said: list[str]) -> str:
    for line in process.stdout or ():
        said.append(line)
        if found := re.search(r"nlplug is at (http://\S+)", line):
            # What it says later must not fill the pipe and hold it up.
            threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
            return found.group(1)
    raise RuntimeError(f"the server ended before it was up:\n{''.join(said)}")


class Visitor:
    """Opens pages and writes down every request to another host.

    Visits of the same settings share a browser context, and with it what was fetched already.
    """

    def __init__(self, browser: Browser, server: str) -> None:
        self._browser = browser
        self._server = server
        self._contexts: dict[str, BrowserContext] = {}
        self.foreign: list[str] = []

    def open(self, path: str = "", *, width: int = 1280, **settings: Any) -> Page:
        """The page at ``path`` once its header is there."""
        settings = {
            "viewport": {"width": width, "height": 900},
            "locale": "en-US",
            **settings,
        }
        key = repr(sorted(settings.items()))
        if key not in self._contexts:
            context = self._browser.new_context(**settings)
            context.set_default_timeout(150_000)
            context.on("request", self._note)
            self._contexts[key] = context
        page = self._contexts[key].new_page()
        page.goto(self._server + path)
        page.locator(".np-header").wait_for()
        return page

    def leave(self) -> None:
        """Close every page."""
        for context in self._contexts.values():
            for page in context.pages:
                page.close()

    @contextmanager
    def visit(self) -> Iterator[Visitor]:
        """Within, pages are opened; afterwards fails if anything was asked of another host."""
        yield self
        self.leave()
        asked, self.foreign = self.foreign, []
        assert asked == []

    def _note(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in _LOOPBACK:
            self.foreign.append(request.url)
