"""The batch tab: upload, columns, progress, table and downloads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from nlplug.errors import DataError, Overloaded
from nlplug.server.pool import AUTO, ModelPool
from nlplug.task import Task
from nlplug_webui.batch import FileLook, Progress, look, run_batch
from nlplug_webui.batch_report import downloads_html, look_html, progress_html, waiting_html
from nlplug_webui.batch_runs import WAITING, BatchRun, runs_of
from nlplug_webui.batch_store import BatchResult
from nlplug_webui.events import AS_SENT, AT_ONCE
from nlplug_webui.fields import Control, for_model, input_controls, option_values
from nlplug_webui.forms import Translate
from nlplug_webui.messages import error_html
from nlplug_webui.texts import language_of, say


class BatchTab:
    """Runs a file through the task.

    A batch belongs to the server and not to the event of the page that started it. The script of
    the page (``static/workshop/batch.js``) keeps its name in the browser, so that a page that is
    reloaded shows it again, and lists the results of before.

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
        self._runs = runs_of(pool)

    def layout(self) -> None:
        """Build the tab inside the open Blocks."""
        with gr.Column(elem_classes="np-card"):
            # Without file_types: of other files Gradio has an error of its own, that of `look` is
            # the one of the command line.
            self._file = gr.File(
                label=self._translate("upload"),
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
            gr.HTML('<div id="np-batches"></div>')
        self._name = gr.Textbox(visible=False)
        self._again = gr.Button(elem_id="np-batch-again", elem_classes="np-script-only")

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
        self._file.change(
            self._looked,
            self._file,
            [*self._columns, self._shown],
            **{**AT_ONCE, "show_progress": "minimal"},
            show_progress_on=self._shown,
        )
        streamed: dict[str, Any] = {
            "outputs": self._shown,
            "api_visibility": "private",
            "concurrency_limit": None,
            "show_progress": "hidden",
        }
        self._run.click(
            self._answered,
            [self._name, self._file, *chosen, *self._columns],
            js="(...call) => [npBatch(), ...call.slice(1)]",
            **streamed,
            **AS_SENT,
        )
        self._again.click(self._found, self._name, js="() => npBatch()", **streamed)
        # The run ends by itself and gives out its files, so the event is not cancelled.
        self._stop.click(self._stopped, self._name, None, js="() => npBatch()", **AT_ONCE)

    def _looked(self, request: gr.Request, file: str | None) -> list[Any]:
        language = language_of(request)
        nothing = [gr.update(visible=False, choices=[], value=None) for _ in self._fields]
        if not file:
            empty = self._translate(f"{self._task.name}:batch-empty")
            return [*nothing, empty]
        try:
            found = look(self._task, Path(file))
        except Exception as error:
            return [*nothing, error_html(error, language, file=Path(file))]
        several = self._several()
        typed = [(say("as_typed", language), "")] if several else []
        # The only column can be meant; as its name does not say so, it is shown.
        only = found.columns[0] if len(found.columns) == 1 and not several else None
        updates = [
            gr.update(
                visible=(len(found.columns) > 1 or several or not found.picked[name])
                and (info.is_required() or bool(found.picked[name])),
                choices=[*typed, *found.columns] if info.is_required() else ["", *found.columns],
                value=found.picked[name] or ("" if not info.is_required() or several else only),
                label=say("column", language, field=self._titles[name][language]),
            )
            for name, info in self._task.Input.model_fields.items()
        ]
        return [*updates, look_html(found, language)]

    def _stopped(self, name: str | None) -> None:
        if (run := self._runs.find(name or "")) is not None:
            run.stopping = True

    async def _found(self, request: gr.Request, name: str | None) -> AsyncIterator[Any]:
        """The batch of a page that was reloaded; nothing if it has none."""
        if not name:
            yield self._translate(f"{self._task.name}:batch-empty")
            return
        run = self._runs.find(name)
        if run is None:
            lost = say("batch_lost", language_of(request))
            yield f'<p class="np-note" data-batch-lost>{escape(lost)}</p>'
            return
        async for shown in _watched(run):
            yield shown

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

    async def _answered(
        self,
        request: gr.Request,
        name: str | None,
        file: Mapping[str, Any] | None,
        model: str,
        precision: str,
        synced: Mapping[str, Any],
        *values: Any,
    ) -> AsyncIterator[str]:
        """Start a batch and show it; the one of the same page before it is stopped."""
        self._stopped(name)
        language = language_of(request)
        source = Path(file["path"]) if file else None
        chosen = model, precision

        def work(run: BatchRun) -> Iterator[BatchResult]:
            return self._worked(run, language, source, chosen, values, synced)

        full = Overloaded(
            say("batch_full", language, n=WAITING), hint=say("batch_full_hint", language)
        )
        waiting, refused = waiting_html(language), error_html(full, language)
        run = self._runs.start(work, BatchResult(waiting), BatchResult(refused))
        async for shown in _watched(run):
            yield shown

    def _worked(
        self,
        run: BatchRun,
        language: str,
        source: Path | None,
        chosen: tuple[str, str],
        values: Sequence[Any],
        synced: Mapping[str, Any],
    ) -> Iterator[BatchResult]:
        """Answer the rows of a file, and keep the result."""
        now, failed = Progress(0, 0), ""
        try:
            if source is None:
                raise DataError(
                    say("batch_no_file", language), hint=say("batch_no_file_hint", language)
                )
            found = look(self._task, source)
            options, columns, same = self._read(found, values, synced)
            yield BatchResult(progress_html(Progress(0, found.rows), language))
            model, precision = chosen
            with self._pool.lease(self._task, model, precision or AUTO) as lease:
                for now in run_batch(
                    lease.pipeline,
                    source,
                    columns,
                    options,
                    run.begin(),
                    total=found.rows,
                    same=same,
                    kept=found.columns,
                    language=language,
                    stop=lambda: run.over,
                ):
                    yield BatchResult(progress_html(now, language))
        except Exception as error:
            failed = error_html(error, language, file=source)
            if now.csv is None:
                yield BatchResult(failed)
        # The rows before an error are there to be downloaded.
        if source is not None and now.csv is not None:
            files = now.files
            shown = failed + progress_html(now, language, downloads_html(run.id, files, language))
            try:
                yield run.keep(BatchResult(shown, files, source.name))
            except OSError as error:
                yield BatchResult(error_html(error, language))

    def _read(
        self, found: FileLook, values: Sequence[Any], synced: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str | None], dict[str, Any]]:
        """The options, the column of each field, and the fields that are the same in all rows."""
        count, place = len(self._options), len(self._options) + len(self._inputs)
        options = option_values(for_model(self._options, synced), values[:count])
        picked = dict(zip(self._fields, values[place:], strict=True))
        columns = {
            name: picked[name] if picked[name] in found.columns else None for name in self._fields
        }
        return options, columns, self._same(columns, values[count:place])


async def _watched(run: BatchRun) -> AsyncIterator[str]:
    """What the page of a batch shows."""
    async for result in run.watch():
        state = "ended" if run.ended else "running"
        yield f'<span hidden data-batch="{run.id}" data-state="{state}"></span>{result.shown}'
