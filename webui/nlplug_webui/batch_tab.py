"""The batch tab: upload, columns, progress, table and downloads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from nlplug.errors import DataError
from nlplug.server.pool import AUTO, ModelPool
from nlplug.task import Task
from nlplug_webui.batch import Progress, look, run_batch
from nlplug_webui.batch_report import look_html, progress_html
from nlplug_webui.events import AT_ONCE
from nlplug_webui.fields import Control, for_model, input_controls, option_values
from nlplug_webui.forms import Translate
from nlplug_webui.messages import error_html
from nlplug_webui.runs import Ending, Runs
from nlplug_webui.texts import language_of, say

_SUFFIXES = [".csv", ".tsv", ".jsonl", ".json", ".txt", ".gz", ".parquet", ".xlsx"]


class BatchTab:
    """Runs a file through the task.

    Args:
        task: The task.
        pool: The loaded models.
        translate: Returns the key of a text, which the browser translates.
    """

    def __init__(self, task: Task, pool: ModelPool, translate: Translate) -> None:
        self._task = task
        self._pool = pool
        self._translate = translate
        self._titles = {control.name: control.title for control in input_controls(task)}
        self._fields = list(self._titles)
        self._runs = Runs()

    def layout(self) -> None:
        """Build the tab inside the open Blocks."""
        with gr.Column(elem_classes="np-card"):
            self._file = gr.File(
                label=self._translate("upload"),
                file_types=_SUFFIXES,
                elem_id="batch-file",
                height=150,
            )
            gr.HTML(self._translate("upload_info"), elem_classes="np-note")
            with gr.Row():
                self._columns = [
                    gr.Dropdown(
                        choices=[],
                        label=title["en"],
                        info=self._translate("column_info"),
                        visible=False,
                        interactive=True,
                        elem_id=f"column-{name}",
                        min_width=160,
                    )
                    for name, title in self._titles.items()
                ]
            with gr.Row(elem_classes="np-buttons"):
                self._stop = gr.Button(self._translate("stop"), elem_id="batch-stop", min_width=90)
                self._run = gr.Button(
                    self._translate("run_batch"),
                    variant="primary",
                    elem_id="batch-run",
                    min_width=140,
                )
        with gr.Column(elem_classes="np-card np-result-card"):
            self._shown = gr.HTML(
                self._translate(f"{self._task.name}:batch-empty"), elem_id="batch-result"
            )
            with gr.Row(elem_classes="np-buttons"):
                self._downloads = [
                    gr.DownloadButton(
                        self._translate(f"download_{kind}"),  # type: ignore[arg-type]
                        interactive=False,
                        elem_id=f"download-{kind}",
                        min_width=140,
                    )
                    for kind in ("csv", "xlsx", "jsonl", "skipped")
                ]

    def wire(
        self, chosen: Sequence[Any], inputs: Sequence[Control], options: Sequence[Control]
    ) -> None:
        """Wire the events.

        Args:
            chosen: Components of model and precision, the state with the model's options, the
                components of the options, and those of the form in the first tab.
            inputs: The controls of that form.
            options: The controls of the options.
        """
        self._inputs = inputs
        self._options = options
        outputs = [self._shown, *self._downloads]
        self._file.change(
            self._looked,
            self._file,
            [*self._columns, *outputs],
            **{**AT_ONCE, "show_progress": "minimal"},
            show_progress_on=self._shown,
        )
        self._run.click(
            self._answered,
            [self._file, *chosen, *self._columns],
            outputs,
            api_visibility="private",
            concurrency_limit=2,
            show_progress="hidden",
        )
        # The run ends by itself and gives out its files, so the event is not cancelled.
        self._stop.click(self._stopped, None, None, **AT_ONCE)

    def _looked(self, request: gr.Request, file: str | None) -> list[Any]:
        language = language_of(request)
        idle = _ready(Progress(0, 0))
        nothing = [gr.update(visible=False, choices=[], value=None) for _ in self._fields]
        if not file:
            empty = self._translate(f"{self._task.name}:batch-empty")
            return [*nothing, empty, *idle]
        try:
            found = look(self._task, Path(file))
        except Exception as error:
            return [*nothing, error_html(error, language, file=Path(file)), *idle]
        several = self._several()
        typed = [(say("as_typed", language), "")] if several else []
        updates = [
            gr.update(
                visible=(len(found.columns) > 1 or several)
                and (info.is_required() or bool(found.picked[name])),
                choices=[*typed, *found.columns] if info.is_required() else ["", *found.columns],
                value=found.picked[name] or ("" if not info.is_required() or several else None),
                label=say("column", language, field=self._titles[name][language]),
            )
            for name, info in self._task.Input.model_fields.items()
        ]
        return [*updates, look_html(found, language), *idle]

    def _stopped(self, request: gr.Request) -> None:
        self._runs.end(str(request.session_hash), Ending.STOPPED)

    def _several(self) -> bool:
        """Whether an input has several required fields, so that one may be the same in all rows."""
        return sum(info.is_required() for info in self._task.Input.model_fields.values()) > 1

    def _same(self, columns: Mapping[str, str | None], values: Sequence[Any]) -> dict[str, Any]:
        """Required fields without a column, with their values from the first tab."""
        if not self._several():
            return {}
        return {
            control.name: control.from_form(value)
            for control, value in zip(self._inputs, values, strict=True)
            if control.default is ... and columns[control.name] is None
        }

    def _answered(
        self,
        request: gr.Request,
        file: str | None,
        model: str,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> Iterator[list[Any]]:
        language = language_of(request)
        idle = _ready(Progress(0, 0))
        visitor = str(request.session_hash)
        run = self._runs.start(visitor)
        count, place = len(self._options), len(self._options) + len(self._inputs)
        source = Path(file) if file else None
        now: Progress | None = None
        try:
            if source is None:
                raise DataError(
                    say("batch_no_file", language), hint=say("batch_no_file_hint", language)
                )
            options = option_values(for_model(self._options, synced), values[:count])
            picked = dict(zip(self._fields, values[place:], strict=True))
            found = look(self._task, source)
            columns = {
                name: picked[name] if picked[name] in found.columns else None
                for name in self._fields
            }
            same = self._same(columns, values[count:place])
            yield [progress_html(Progress(0, found.rows), language), *idle]
            with (
                tempfile.TemporaryDirectory(prefix="nlplug-batch-") as folder,
                self._pool.lease(self._task, model, precision or AUTO) as lease,
            ):
                for now in run_batch(
                    lease.pipeline,
                    source,
                    columns,
                    options,
                    Path(folder),
                    total=found.rows,
                    same=same,
                    kept=found.columns,
                    language=language,
                    stop=lambda: run.ending is not None,
                ):
                    yield [progress_html(now, language), *_ready(now)]
        except Exception as error:
            shown = error_html(error, language, file=source)
            if now is None or now.csv is None:
                yield [shown, *idle]
            else:  # the rows before the error are there to be downloaded
                yield [shown + progress_html(now, language), *(gr.skip() for _ in idle)]
        finally:
            self._runs.done(visitor, run)


def _ready(now: Progress) -> list[Any]:
    """Updates of the download buttons, which are enabled if there is a file."""
    files = (now.csv, now.excel, now.jsonl, now.rejected)
    return [
        gr.update(interactive=file is not None, value=str(file) if file else None) for file in files
    ]
