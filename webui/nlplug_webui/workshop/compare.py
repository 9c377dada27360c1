"""The routes behind the page that compares two models, or two precisions of one model."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from difflib import SequenceMatcher
from itertools import chain
from pathlib import Path
from typing import Any

from fastapi import Body, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from nlplug import PluginHost, Task
from nlplug.data import DataFile
from nlplug.errors import NlplugError, OptionError
from nlplug.evaluation.agreement import Agreement, agreement
from nlplug.evaluation.agreement import document as agreement_document
from nlplug.evaluation.compare import Comparison, compare, document
from nlplug.evaluation.run import graph_size
from nlplug.heard_warnings import heard
from nlplug.json_text import parse_json
from nlplug.models.bundle import Bundle
from nlplug.results import answer_rows
from nlplug.server.pool import AUTO, Lease, ModelPool
from nlplug_webui.batch import LIMITS
from nlplug_webui.fields import Control, input_controls, input_values, option_controls
from nlplug_webui.file_errors import about_upload
from nlplug_webui.models import describe
from nlplug_webui.notices import all_texts, unwatched
from nlplug_webui.texts import LANGUAGES, language_of
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-compare"
"""First path segment of the routes."""
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_ROWS = 1000
_LONGEST_NAME = 200


class Choice(BaseModel):
    """A model and a precision.

    Attributes:
        model: A name, folder or Hub id; empty: the default model of the task.
        precision: ``auto``, or a precision of the model.
    """

    model: str = ""
    precision: str = AUTO


class Comparing:
    """The routes.

    Args:
        host: The plugins.
        pool: The loaded models.
    """

    def __init__(self, host: PluginHost, pool: ModelPool) -> None:
        self._host = host
        self._pool = pool
        self.router = page_router(
            PREFIX,
            [
                ("GET", "/tasks", self.tasks),
                ("GET", "/tasks/{task}", self.models),
                ("GET", "/tasks/{task}/model", self.model),
                ("POST", "/tasks/{task}/text", self.text),
            ],
        )

        @self.router.post("/tasks/{task}/file", response_model=None)
        async def compare_file(
            request: Request,
            task: str,
            name: str,
            first: str = "",
            first_precision: str = AUTO,
            second: str = "",
            second_precision: str = AUTO,
            limit: int = _ROWS,
            labelled: bool = True,
            options: str = "{}",
        ) -> Any:
            sides = [
                Choice(model=first, precision=first_precision),
                Choice(model=second, precision=second_precision),
            ]
            content = await request.body()
            return await run_in_threadpool(
                self.file,
                task,
                name,
                content,
                sides,
                limit,
                labelled,
                _values(options),
                language_of(request),
            )

    def tasks(self) -> Any:
        """The tasks."""
        return [{"name": task.name, "title": _forms(task.title)} for task in self._host.tasks()]

    def models(self, task: str) -> Any:
        """The fields of the input of a task, and the names of its models.

        ``other`` is a model to compare the first one with: one on this machine that has a language
        in common with it, or None.
        """
        found = self._host.task(task)
        names = [spec.name for spec in self._pool.packaged(found.name)]
        if not self._pool.only_packaged:
            names += [name for name in found.suggested_models if name not in names]
            names += self._pool.folders(found.name)
        first = found.default_model or next(iter(names), "")
        example = next(iter(found.examples), None)
        given = example.input if example else {}
        return {
            "any": not self._pool.only_packaged,
            "scores": bool(found.family.scoring),
            "live": not found.family.streams,
            "models": [first, *(name for name in names if name != first)] if first else names,
            "other": self._other(found, first),
            "fields": [
                _field(control, given.get(control.name, control.initial))
                for control in input_controls(found)
            ],
            "options": [
                _field(control, control.default)
                for control in sorted(option_controls(found), key=lambda one: one.advanced)
            ],
        }

    def _other(self, task: Task, first: str) -> str | None:
        if not first:
            return None
        with suppress(NlplugError):  # the page shows what is wrong with the first model
            own = set(self._pool.bundle(task, first).languages)
            for name in self._pool.local(task):
                with suppress(NlplugError):
                    known = self._pool.bundle(task, name).languages
                    if name != first and (not own or not known or own.intersection(known)):
                        return name
        return None

    def model(self, task: str, model: str = "") -> Any:
        """Facts about a model: name, precisions with their size, and the record of its gate."""
        bundle = self._pool.bundle(self._host.task(task), model)
        return {
            "name": bundle.name,
            "precisions": {
                name: graph_size(bundle, name) for name in describe(bundle)["precisions"]
            },
            "gate": _gate(bundle),
        }

    def text(
        self,
        request: Request,
        task: str,
        sides: list[Choice] = Body(min_length=2, max_length=2),  # noqa: B008 - FastAPI's way
        values: list[Any] = Body(),  # noqa: B008 - as above
        options: dict[str, Any] = Body({}),  # noqa: B008 - as above
    ) -> Any:
        """The answers of both models to one input, with differences marked.

        ``options`` are the options that were changed in the form, by name.
        """
        found, language = self._host.task(task), language_of(request)
        controls = input_controls(found)
        item = input_values(controls, values)
        given = _options(found, options)
        answered: list[dict[str, Any]] = []
        answers: list[list[dict[str, Any]]] = []
        for side in sides:
            with self._pool.lease(found, side.model, side.precision) as lease:
                _warm(lease, item, given)
                notices: list[str] = []
                foreign = lease.pipeline.foreign([item], **given)
                started = time.perf_counter()
                with heard(notices):
                    answer = lease.pipeline([item], **unwatched(found, given))[0]
                seconds = time.perf_counter() - started
                answered.append(
                    {
                        "name": f"{lease.pipeline.bundle.name}@{lease.pipeline.precision}",
                        "seconds": seconds,
                        "size": graph_size(lease.pipeline.bundle, lease.pipeline.precision),
                        "notices": all_texts(foreign, notices, language),
                    }
                )
                answers.append(answer_rows(found, answer))
        marked = marked_rows(*answers)
        for one, rows in zip(answered, marked, strict=True):
            one["rows"] = rows
        parts = chain.from_iterable(
            part for rows in marked for row in rows for part in row.values()
        )
        return {"sides": answered, "same": not any(differs for _, differs in parts)}

    def file(
        self,
        task: str,
        name: str,
        content: bytes,
        sides: Sequence[Choice],
        limit: int,
        labelled: bool = True,
        options: Mapping[str, Any] | None = None,
        language: str = "en",
    ) -> Any:
        """The comparison on the rows of an uploaded file; with right answers also its report."""
        if limit < 1:
            raise OptionError(f"'limit' is {limit}.", hint="Give a number of rows from 1.")
        found = self._host.task(task)
        own = _options(found, options or {})
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            path = Path(folder) / Path(name).name[-_LONGEST_NAME:]
            path.write_bytes(content)
            leases = [
                stack.enter_context(self._pool.lease(found, side.model, side.precision))
                for side in sides
            ]
            first, second = (lease.pipeline for lease in leases)
            data = DataFile(path, limits=LIMITS)
            try:
                result: Comparison | Agreement
                if labelled:
                    result = compare(first, second, data, limit=limit, options=own)
                    page = document(result)
                else:
                    result = agreement(first, second, data, limit=limit, options=own)
                    page = agreement_document(result)
            except NlplugError as error:
                raise about_upload(error, path) from None
        told = [
            all_texts(side.noticed.foreign, side.noticed.messages, language)
            for side in result.sides
        ]
        return {**page.values, "report": page.html(), "notices": told}


def _warm(lease: Lease, item: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """One call that is not timed, if the model was just loaded: the first call is slower."""
    if lease.loaded_in:
        lease.pipeline([dict(item)], **options)


def _field(control: Control, value: Any) -> dict[str, Any]:
    """A control as the script of the page needs it."""
    return {
        "name": control.name,
        "title": dict(control.title),
        "help": dict(control.help),
        "kind": control.kind.value,
        "lines": control.lines,
        "choices": {
            language: control.named_choices(language) if control.choices else []
            for language in LANGUAGES
        },
        "value": control.to_form(value),
    }


def _values(text: str) -> dict[str, Any]:
    """The options in the address of a request."""
    try:
        values = parse_json(text, unique_keys=True)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise OptionError(f"'options' is {text!r}.", hint="Give a JSON object.")
    return values


def _options(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were changed in the form; names that the task lacks are kept."""
    controls = {control.name: control for control in option_controls(task)}
    return {
        name: controls[name].from_form(value) if name in controls else value
        for name, value in values.items()
    }


Row = dict[str, list[tuple[str, bool]]]
"""Column → its text in parts, each with whether it differs from the other answer."""


def marked_rows(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> tuple[list[Row], list[Row]]:
    """Two answers as rows whose texts are split where they differ, row by row.

    Scores, which are numbers with a fraction, are shown and not marked.
    """
    found: tuple[list[Row], list[Row]] = ([], [])
    for place in range(max(len(first), len(second))):
        pair = [rows[place] if place < len(rows) else None for rows in (first, second)]
        for rows, mine, other in zip(found, pair, reversed(pair), strict=True):
            if mine is not None:
                rows.append({name: _parts(mine[name], (other or {}).get(name)) for name in mine})
    return found


def _parts(value: Any, other: Any) -> list[tuple[str, bool]]:
    if isinstance(value, float):
        return [(f"{value:.4f}", False)]
    mine, theirs = _WORDS.findall(_shown(value)), _WORDS.findall(_shown(other))
    steps = SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes()
    return [("".join(mine[a:b]), kind != "equal") for kind, a, b, _, _ in steps if a != b]


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _gate(bundle: Bundle) -> dict[str, Any] | None:
    """What the quality gate measured, as the manifest has it; None without a manifest."""
    manifest = bundle.manifest
    if manifest is None:
        return None
    gate: dict[str, Any] = manifest.metrics.get("gate") or {}
    return {
        "rows": gate.get("rows"),
        "budget": gate.get("budget"),
        "refused": dict(gate.get("refused") or {}),
        "precisions": [
            {
                "precision": name,
                "size": graph_size(bundle, name),
                "loss": record.metrics.get("loss"),
                "low": record.metrics.get("loss_low"),
                "high": record.metrics.get("loss_high"),
                "agreement": (record.parity or {}).get("agreement"),
            }
            for name, record in manifest.precisions.items()
        ],
    }


def _forms(title: Any) -> dict[str, str]:
    return dict(title) if isinstance(title, Mapping) else {"en": str(title)}
