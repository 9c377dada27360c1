"""The routes behind the page of plugins: what is installed, what else exists, and changes."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import asdict
from typing import Any

from fastapi import Body

from nlplug import PluginHost
from nlplug.errors import OptionError, PluginError
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-plugins"
"""First path segment of the routes."""
CATALOGUE: dict[str, tuple[str, str]] = {
    "classification": (
        "Classification of texts: intents, topics, spam.",
        "文本分类：意图、主题、垃圾信息。",
    ),
    "feature-extraction": (
        "Vectors of tokens and texts (embeddings).",
        "词元与文本的向量（嵌入）。",
    ),
    "fill-mask": ("Missing words of a text.", "为文本中的空缺填词。"),
    "generation": ("Text generation and chat.", "文本生成与对话。"),
    "ner": ("Named entities in a text.", "文本中的命名实体。"),
    "qa": ("Question answering: finds the answer in a text.", "在文本中查找问题的答案。"),
    "sentiment": ("Positive or negative sentiment.", "正面或负面情感。"),
    "text2text": ("Summaries and other text-to-text tasks.", "摘要等由文本生成文本的任务。"),
    "translation": ("Translation.", "翻译。"),
    "zero-shot": (
        "Classification with your own labels, without training.",
        "用自定义标签分类，无需训练。",
    ),
}
"""The plugins of this project, by short name: what they do, in English and in Chinese."""
_TIMEOUT = 900.0
_OUTPUT = 4000


class Plugins:
    """The routes.

    Args:
        host: The plugins of the running server.
        loopback: Whether only this machine reaches the server.
        protected: Whether browsers have to log in.
    """

    def __init__(self, host: PluginHost, *, loopback: bool, protected: bool) -> None:
        self._host = host
        self._one_command = threading.Lock()
        self._off = None if loopback and protected else "no_login" if loopback else "no_loopback"
        self.router = page_router(
            PREFIX,
            [
                ("GET", "/list", self.list),
                ("POST", "/install", self.install),
                ("POST", "/uninstall", self.uninstall),
            ],
        )

    def list(self) -> Any:
        """The plugins that the server has, those that it lacks, and why changes are off.

        ``changed`` are the distributions that were installed or removed since the server started.
        """
        records = self._host.records()
        installed = {record.dist for record in records}
        present = {record.dist for record in PluginHost.discover().records()}
        return {
            "plugins": [
                asdict(record)
                for record in sorted(records, key=lambda one: (one.state != "failed", one.name))
            ],
            "others": [
                {"name": name, "about": {"en": about[0], "zh": about[1]}}
                for name, about in CATALOGUE.items()
                if f"nlplug-{name}" not in installed
            ],
            "changed": sorted(installed ^ present),
            "off": self._off,
        }

    def install(self, name: str = Body(embed=True)) -> Any:
        """Install a plugin of the catalogue."""
        if name not in CATALOGUE:
            raise OptionError(
                f"{name!r} is not in the catalogue.", hint=f"There are: {', '.join(CATALOGUE)}."
            )
        return self._change("install", name)

    def uninstall(self, name: str = Body(embed=True)) -> Any:
        """Remove the distribution of installed plugins."""
        installed = sorted({record.dist for record in self._host.records()})
        if name not in installed:
            raise OptionError(
                f"No distribution {name!r} has plugins.",
                hint=f"There are: {', '.join(installed) or 'none'}.",
            )
        return self._change("uninstall", "--yes", name)

    def _change(self, *arguments: str) -> Any:
        """Run ``nlplug plugins`` in a process of its own, as the page shows it."""
        if self._off is not None:
            raise PluginError(
                "This server does not install or remove plugins.",
                hint="It must listen on 127.0.0.1 and need a login (NLPLUG_API_KEY).",
            )
        command = [sys.executable, "-m", "nlplug", "plugins", *arguments]
        try:
            with self._one_command:
                done = subprocess.run(
                    command,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=_TIMEOUT,
                )
        except subprocess.TimeoutExpired:
            raise PluginError(
                f"nlplug plugins {arguments[0]} took longer than {_TIMEOUT:.0f} s and was ended.",
                hint="Run the command in a terminal.",
            ) from None
        return {"ok": done.returncode == 0, "output": done.stdout[-_OUTPUT:]}
