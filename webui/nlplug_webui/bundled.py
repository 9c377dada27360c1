"""Gradio's scripts and styles for the pages, sent as one file each.

Gradio loads each kind of component as several small modules: a page of a task needs about 100
files. The modules that the pages need are found by their imports. One script gives them to the
browser with an import map, and one style sheet has their styles. What is not found here, for
example after a change of Gradio's build, the browser requests from Gradio as before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import gradio as gr

FRONTEND = Path(gr.__file__).parent / "templates" / "frontend"
_LOADER = Path(__file__).with_name("static") / "bundled.js"

_ENTRY = re.compile(r'<script type="module"[^>]* src="\./assets/([\w.-]+\.js)"')
_STATIC = re.compile(r'\b(?:from|import)\s?"\./([\w.-]+\.js)"')
# A module that is loaded when it is needed, with the places of its files in the list below. From
# Gradio 6.18 on its name is between back quotes, and a part of the module may be chosen.
_LATER = re.compile(
    r'\bimport\(["`]\./([\w.-]+\.js)["`]\)(?:\.then\([^()]*\))?'
    r"(?:,__vite__mapDeps\(\[([\d,]*)\]\))?"
)
_LIST = re.compile(r"\bm\.f=(\[[^\]]*\])")
_SPECIFIER = re.compile(r'(\b(?:from|import)\s?\(?)["`]\./([\w.-]+\.js)["`]')
# The clock of what is loading. Gradio moves it with each frame, and never stops that of a page that
# has opened, which takes 4 % of a core as long as the page is there. It shows tenths of a second.
_CLOCK = re.compile(
    r"(function (\w+)\(\)\{)\w+(\(\(\)=>\{\w+\(\w+,\(performance\.now\(\)-\w+\(\w+\)\)/1e3\),"
    r"\w+&&\2\(\)\})\)"
)
_HERE = "np-assets:"
"""Stands for the address of the folder of the modules, which only the browser knows."""


class GradioFiles:
    """The modules and style sheets that pages with some kinds of components need.

    Args:
        kinds: Names of components as in the configuration, such as ``textbox``.
        folder: Gradio's built pages.
    """

    def __init__(self, kinds: Iterable[str], folder: Path = FRONTEND) -> None:
        self._kinds = sorted(set(kinds))
        self._folder = folder
        self._sources: dict[str, str] = {}

    @cached_property
    def script(self) -> bytes:
        """The script that gives the modules to the browser."""
        modules = {name: self._moved(name) for name in self._modules if name != self._entry}
        names = json.dumps({"modules": modules, "styles": self._styles})
        return _LOADER.read_bytes().replace(b"NAMES", names.encode(), 1)

    @cached_property
    def styles(self) -> bytes:
        """All style sheets in one."""
        sheets = ((self._assets / name).read_text("utf-8") for name in self._styles)
        return "\n".join(sheets).encode()

    @property
    def _assets(self) -> Path:
        return self._folder / "assets"

    @cached_property
    def _entry(self) -> str:
        """The module that the page itself names; empty if there is none as expected."""
        found = _ENTRY.search((self._folder / "index.html").read_text("utf-8"))
        return found.group(1) if found else ""

    @cached_property
    def _needed(self) -> list[tuple[str, list[str]]]:
        """What is loaded after the entry, each with its style sheets: the shell, the components."""
        if not self._entry:
            return []
        first = list(self._later(self._source(self._entry)))
        names = [name for name, _ in first]
        registry = max(self._closure(names), key=self._count, default="")
        behind = [self._later(self._source(name)) for name in names if name != registry]
        shell = [*first, *(pair for pairs in behind for pair in pairs)]
        return [*shell, *self._components(registry)] if registry else shell

    @cached_property
    def _modules(self) -> list[str]:
        return self._closure([self._entry, *(name for name, _ in self._needed)])

    @cached_property
    def _styles(self) -> list[str]:
        own = self._folder.joinpath("index.html").read_text("utf-8")
        every = dict.fromkeys(sheet for _, sheets in self._needed for sheet in sheets)
        return [name for name in every if name not in own]

    def _components(self, registry: str) -> Iterator[tuple[str, list[str]]]:
        """The modules of the wanted components in the one that lists all of them."""
        source = self._source(registry)
        for kind in self._kinds:
            listed = rf'(?<![\w-])"?{re.escape(kind)}"?:\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}'
            for found in re.finditer(listed, source):
                yield from self._later(found.group(1), source)

    def _later(self, part: str, source: str | None = None) -> Iterator[tuple[str, list[str]]]:
        """The modules that a part of a source loads when they are needed, and their sheets."""
        listed = _LIST.search(part if source is None else source)
        files = json.loads(listed.group(1)) if listed else []
        for found in _LATER.finditer(part):
            name, places = found.groups()
            sheets = [files[int(place)] for place in (places or "").split(",") if place]
            if (self._assets / name).is_file():
                yield name, [s.removeprefix("./") for s in sheets if s.endswith(".css")]

    def _closure(self, names: Iterable[str]) -> list[str]:
        """Modules and all that they import, without those that are loaded when needed."""
        waiting, found = [name for name in names if name], dict[str, None]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = None
                waiting += _STATIC.findall(self._source(name))
        return list(found)

    def _count(self, name: str) -> int:
        return len(_LATER.findall(self._source(name)))

    def _moved(self, name: str) -> str:
        """The source of a module with the full addresses of what it names, and a slow clock."""
        source = _SPECIFIER.sub(rf'\1"{_HERE}\2"', self._source(name))
        source = _CLOCK.sub(r"\1setTimeout\3,100)", source)
        return source.replace("import.meta.url", f'"{_HERE}{name}"')

    def _source(self, name: str) -> str:
        if name not in self._sources:
            self._sources[name] = (self._assets / name).read_text("utf-8")
        return self._sources[name]
