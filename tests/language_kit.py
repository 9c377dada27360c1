"""An installed task with tiny models for several languages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plugin_zoo import install

from nlplug.plugins import PluginHost
from nlplug.testing import tiny_text_classifier

PLUGIN = """
from pathlib import Path

from nlplug import ModelSpec, hookimpl
from nlplug.families.sequence_classification import SequenceClassificationTask


class LeaningTask(SequenceClassificationTask):
    name = "leaning"
    title = "Leaning"
    description = "Which way a text leans."
    default_model = "leaning-en"


@hookimpl
def register_tasks():
    return [LeaningTask()]


@hookimpl
def register_models():
    here = Path(__file__).parent
    return [
        ModelSpec(name=f"leaning-{code}", task="leaning", path=here / code)
        for code in ("zh", "de", "en", "en2")
    ]
"""
ENGLISH = "that was a very good film and i would see it again"
CHINESE = "我喜欢这部电影"
GERMAN = "das war ein wirklich guter film und wir kommen gerne wieder"
FRENCH = "c'est un très bon film que je voudrais revoir avec mes amis"
WORDS = {
    "en": {"good": (-4.0, 4.0)},
    "en2": {"good": (4.0, -4.0)},
    "zh": {CHINESE: (-3.0, 3.0)},
    "de": {"guter": (-2.0, 2.0)},
}


@contextmanager
def installed_languages(site: Path) -> Iterator[PluginHost]:
    """The plugins of a folder that has only this one."""
    name = "leaning_plugin"
    install(site, "nlplug-leaning", {name: PLUGIN}, plugins={"leaning": name})
    for code, words in WORDS.items():
        made = tiny_text_classifier(site / code, words)
        (made.path / "README.md").write_text(f"---\nlanguage: {code[:2]}\n---\n")
    sys.path.insert(0, str(site))
    yield PluginHost.discover(path=[str(site)])
    sys.path.remove(str(site))
    sys.modules.pop(name, None)
