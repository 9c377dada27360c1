"""Code examples of a page: Python, command line and HTTP."""

from __future__ import annotations

import json
import shlex
from html import escape
from typing import Any

from nlplug.task import Task
from nlplug_webui.texts import say


def html(task: Task, language: str) -> str:
    """The code examples, made from the first example of the task."""
    item = dict(task.examples[0].input) if task.examples else _placeholder(task)
    blocks = [
        ("python", _python(task.name, item)),
        ("terminal", _terminal(task.name, item)),
        ("http", _http(task.name, item)),
    ]
    if task.family.streams:
        blocks.append(("streaming", _streaming(task.name, item)))
    return "".join(
        f"<section><h3>{escape(say(title, language))}</h3><pre><code>{escape(code)}</code></pre>"
        "</section>"
        for title, code in blocks
    )


def _placeholder(task: Task) -> dict[str, Any]:
    return {n: "…" for n, info in task.Input.model_fields.items() if info.is_required()}


def _python(name: str, item: dict[str, Any]) -> str:
    return f'from nlplug import pipeline\n\npipe = pipeline("{name}")\npipe({_arguments(item)})'


def _streaming(name: str, item: dict[str, Any]) -> str:
    return (
        f'from nlplug import pipeline\n\npipe = pipeline("{name}")\n'
        f'for text in pipe.stream({_arguments(item)}):\n    print(text, end="", flush=True)'
    )


def _arguments(item: dict[str, Any]) -> str:
    if len(item) == 1:
        return repr(next(iter(item.values())))
    return ", ".join(f"{key}={value!r}" for key, value in item.items())


def _terminal(name: str, item: dict[str, Any]) -> str:
    if len(item) == 1:
        return f"nlplug run {name} {shlex.quote(str(next(iter(item.values()))))}"
    flags = " ".join(
        f"--{key.replace('_', '-')} {shlex.quote(_plain(value))}" for key, value in item.items()
    )
    return f"nlplug run {name} {flags}"


def _http(name: str, item: dict[str, Any]) -> str:
    inputs: Any = next(iter(item.values())) if len(item) == 1 else item
    body = json.dumps({"inputs": inputs}, ensure_ascii=False)
    return (
        f"curl http://127.0.0.1:7860/models/{name} \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
