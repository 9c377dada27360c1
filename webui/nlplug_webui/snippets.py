"""Code for what is on a page: Python, command line, curl and JavaScript."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

from nlplug.server.pool import AUTO
from nlplug.task import Task
from nlplug_webui.texts import say

_WRAPPED = 88


@dataclass(frozen=True)
class ExampleCall:
    """A call of a task.

    Attributes:
        task: The task.
        item: The input, by field.
        options: The options that differ from the defaults.
        model: The model; None: the default model of the task.
        precision: The precision, or ``auto``.
        origin: URL of the server, without a slash at its end.
        served: The name of the model under ``/models/``; None: the server does not serve it.
    """

    task: Task
    item: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    precision: str = AUTO
    origin: str = "http://127.0.0.1:7860"
    served: str | None = None


def example(task: Task) -> ExampleCall:
    """The call of the first example of a task."""
    item = dict(task.examples[0].input) if task.examples else _placeholder(task)
    return ExampleCall(task, item, served=task.name)


def html(call: ExampleCall, language: str) -> str:
    """The code for a call in each language, with copy buttons."""
    blocks = [("python", python(call)), ("terminal", terminal(call))]
    blocks += [("curl", curl(call)), ("javascript", javascript(call))]
    if call.task.family.streams:
        blocks.append(("streaming", streaming(call)))
    copy, copied = escape(say("copy", language)), escape(say("copied", language))
    sections = "".join(
        f'<section data-code="{title}"><header><h3>{escape(say(title, language))}</h3>'
        f'<button type="button" class="np-copy" data-copy="code" data-done="✓ {copied}">{copy}'
        f'</button></header><pre tabindex="0"><code>{escape(code)}</code></pre></section>'
        for title, code in blocks
    )
    return _note(call, language) + sections


def python(call: ExampleCall) -> str:
    """The call in Python."""
    return f"{_pipeline(call)}\nprint(pipe({_arguments(call)}))"


def streaming(call: ExampleCall) -> str:
    """The call in Python, with the text while it is generated."""
    return (
        f"{_pipeline(call)}\nfor text in pipe.stream({_arguments(call)}):\n"
        '    print(text, end="", flush=True)'
    )


def terminal(call: ExampleCall) -> str:
    """The call on the command line."""
    words = ["nlplug run " + shlex.quote(call.task.name)]
    for name, value in {"model": call.model, "precision": call.precision}.items():
        if value not in (None, AUTO):
            words.append(f"--{name} {shlex.quote(str(value))}")
    for name, value in call.options.items():
        words += _flags(name, value)
    if len(call.item) == 1:
        text = next(iter(call.item.values()))
        if isinstance(text, str) and not text.startswith(("-", "@")):
            words.insert(1, shlex.quote(text))
            return _joined(words)
    for name, value in call.item.items():
        # A value that begins with @ names a file on the command line; @@ means the sign itself.
        marked = f"@{value}" if isinstance(value, str) and value.startswith("@") else value
        words += _flags(name, marked)
    return _joined(words)


def curl(call: ExampleCall) -> str:
    """The call over HTTP, with curl."""
    body = shlex.quote(json.dumps(_body(call), ensure_ascii=False))
    return (
        f"curl {shlex.quote(_url(call))} \\\n  -H 'Content-Type: application/json' \\\n  -d {body}"
    )


def javascript(call: ExampleCall) -> str:
    """The call over HTTP, in JavaScript."""
    body = json.dumps(_body(call), ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return (
        f"const response = await fetch({json.dumps(_url(call))}, {{\n"
        '  method: "POST",\n  headers: {"Content-Type": "application/json"},\n'
        f"  body: JSON.stringify({body}),\n}});\nconsole.log(await response.json());"
    )


def _note(call: ExampleCall, language: str) -> str:
    """What HTTP cannot choose: a model that is not served here, and the precision."""
    notes = []
    if call.served is None:
        notes.append(say("code_not_served", language, model=str(call.model)))
    if call.precision != AUTO:
        notes.append(say("code_precision", language))
    return "".join(f'<p class="np-note">{escape(note)}</p>' for note in notes)


def _placeholder(task: Task) -> dict[str, Any]:
    return {n: "…" for n, info in task.Input.model_fields.items() if info.is_required()}


def _pipeline(call: ExampleCall) -> str:
    chosen = [repr(call.task.name)]
    if call.model is not None:
        chosen.append(f"model={call.model!r}")
    if call.precision != AUTO:
        chosen.append(f"precision={call.precision!r}")
    return f"from nlplug import pipeline\n\npipe = pipeline({', '.join(chosen)})"


def _arguments(call: ExampleCall) -> str:
    given = [f"{key}={value!r}" for key, value in call.item.items()]
    if len(call.item) == 1:
        given = [repr(next(iter(call.item.values())))]
    given += [f"{key}={value!r}" for key, value in call.options.items()]
    line = ", ".join(given)
    if len(line) <= _WRAPPED or len(given) == 1:
        return line
    return "\n" + "".join(f"    {each},\n" for each in given)


def _flags(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, list):
        return [part for each in value for part in _flags(name, each)]
    text = "none" if value is None else value
    if not isinstance(text, str):
        text = json.dumps(text, ensure_ascii=False)
    if text.startswith("-"):
        return [f"{flag}={shlex.quote(text)}"]
    return [f"{flag} {shlex.quote(text)}"]


def _joined(words: list[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= _WRAPPED or "\n" in line else " \\\n  ".join(words)


def _url(call: ExampleCall) -> str:
    return f"{call.origin}/models/{call.served or 'NAME'}"


def _body(call: ExampleCall) -> dict[str, Any]:
    single = len(call.item) == 1
    inputs: Any = next(iter(call.item.values())) if single else dict(call.item)
    return {"inputs": inputs} | ({"parameters": dict(call.options)} if call.options else {})
