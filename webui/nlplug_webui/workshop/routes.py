"""The routes behind the pages of a workspace; all state is in the workspace folder.

They are not a part of the HTTP API. Requests that change something need a header that other sites
cannot send without permission, which this server does not give.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Body, Request
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from nlplug import PluginHost, Task
from nlplug.data import DataFile
from nlplug.data.corrections import Corrections
from nlplug.errors import MissingExtra, NlplugError, OptionError
from nlplug.server.pool import ModelPool
from nlplug.workspace import DataSet, TrainingRun, WorkspaceFolder
from nlplug.workspace.browse import known_labels, most_uncertain, view
from nlplug.workspace.datasets import corrections_of
from nlplug.workspace.exchange import FORMATS, export
from nlplug.workspace.gpus import gpus
from nlplug.workspace.reports import rows_behind, wheel
from nlplug.workspace.trainings import check_packages, plan
from nlplug_webui.file_errors import about_upload
from nlplug_webui.texts import language_of
from nlplug_webui.workshop.check_texts import check_values
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-workspace"
"""First path segment of the routes."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_LONGEST_NAME = 200


class Workshop:
    """The routes of one workspace.

    Args:
        workspace: The workspace.
        host: The plugins.
        pool: The loaded models.
    """

    def __init__(self, workspace: WorkspaceFolder, host: PluginHost, pool: ModelPool) -> None:
        self._workspace = workspace
        self._host = host
        self._pool = pool
        self._add()

    def _add(self) -> None:
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "/overview", self.overview),
            ("POST", "/datasets", self.create),
            ("DELETE", "/datasets/{name}", self.delete_data),
            ("GET", "/datasets/{name}", self.rows),
            ("POST", "/datasets/{name}/rows", self.save),
            ("POST", "/datasets/{name}/remove", self.remove),
            ("GET", "/datasets/{name}/export", self.export_rows),
            ("GET", "/datasets/{name}/uncertain", self.uncertain),
            ("POST", "/datasets/{name}/plan", self.plan_run),
            ("POST", "/runs", self.start),
            ("GET", "/runs/{name}", self.run),
            ("POST", "/runs/{name}/stop", self.stop),
            ("POST", "/runs/{name}/resume", self.resume),
            ("DELETE", "/runs/{name}", self.delete_run),
            ("GET", "/runs/{name}/report", self.report),
            ("GET", "/runs/{name}/behind", self.behind),
            ("POST", "/runs/{name}/wheel", self.pack),
            ("GET", "/wheels/{file}", self.download),
        ]
        self.router = page_router(PREFIX, routes)

        @self.router.post("/datasets/{name}/import", response_model=None)
        async def import_rows(request: Request, name: str, file: str) -> Any:
            from starlette.concurrency import run_in_threadpool

            return await run_in_threadpool(self.take, name, file, await request.body())

    def overview(self) -> Any:
        """Data sets, runs, tasks whose answers can be corrected, and whether training can start."""
        tasks = [task for task in self._host.tasks() if task.family.corrections]
        known = {task.name for task in tasks}
        return {
            "path": str(self._workspace.path),
            "tasks": [
                {
                    "name": task.name,
                    "title": task.title if isinstance(task.title, dict) else {"en": task.title},
                    "kind": corrections_of(task).kind,
                    "trains": bool(task.family.training),
                    "base": task.base or "",
                }
                for task in tasks
            ],
            "datasets": [
                {
                    "name": data.name,
                    "task": data.task,
                    "usable": data.task in known,
                    "rows": data.count(),
                    "unlabelled": data.count("unlabelled"),
                }
                for data in DataSet.all(self._workspace)
            ],
            "runs": [self._about(run) for run in TrainingRun.all(self._workspace)],
            "missing": _missing(),
            "formats": list(FORMATS),
            "gpus": vars(gpus()),
        }

    def create(self, name: str = Body(), task: str = Body()) -> Any:
        """Create a data set."""
        return {"name": DataSet.create(self._workspace, name, self._host.task(task)).name}

    def delete_data(self, name: str) -> Any:
        """Delete a data set."""
        self._data(name)[0].delete()
        return {}

    def rows(
        self,
        name: str,
        part: str = "rows",
        search: str = "",
        label: str = "",
        repeated: bool = False,
        start: int = 0,
    ) -> Any:
        """One page of the rows of a data set."""
        data, task, ways = self._data(name)
        waiting = part == "unlabelled"
        found = view(
            data,
            ways,
            "unlabelled" if waiting else "rows",
            search=search,
            label=label,
            repeated=repeated,
            start=max(0, start),
        )
        return {
            "name": data.name,
            "task": task.name,
            "kind": ways.kind,
            "marked": ways.marked,
            "known": known_labels(data, ways) if waiting else sorted(found.labels),
            **vars(found),
        }

    def save(self, name: str, body: dict[str, Any] = Body()) -> Any:  # noqa: B008 - FastAPI's way
        """Store a correction: a new row, a changed one, or the answer to one without."""
        data, _, ways = self._data(name)
        fields = body.get("fields")
        item = ways.item(fields) if isinstance(fields, dict) else body.get("item")
        if not isinstance(item, dict):
            raise OptionError(f"'item' is {item!r}.", hint="Give the input of the task.")
        row = ways.row(item, body.get("value"))
        place = body.get("place")
        if place is not None and type(place) is not int:
            raise OptionError(f"'place' is {place!r}.", hint="Give the place of a row, from 0.")
        if place is None:
            data.add([row])
        elif body.get("part") == "unlabelled":
            data.label(row, place, str(body.get("digest")))
        else:
            data.replace(place, str(body.get("digest")), row)
        return {"rows": data.count()}

    def remove(self, name: str, part: str = Body(), rows: dict[int, str] = Body()) -> Any:  # noqa: B008 - as above
        """Remove rows."""
        self._data(name)[0].remove(rows, "unlabelled" if part == "unlabelled" else "rows")
        return {}

    def take(self, name: str, file: str, content: bytes) -> Any:
        """Add the rows of an uploaded file."""
        data, _, ways = self._data(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(file).name[-_LONGEST_NAME:]
            path.write_bytes(content)
            try:
                return data.take(DataFile(path), ways)
            except NlplugError as error:
                raise about_upload(error, path) from None

    def export_rows(self, name: str, layout: str = "jsonl") -> Response:
        """The rows as a file."""
        data, _, ways = self._data(name)
        kind = layout if layout in ("csv", "tsv", "json") else "jsonl"
        folder = tempfile.TemporaryDirectory()
        file = Path(folder.name) / f"{name}.{kind}"
        try:
            export(data, ways, file, layout)
        except BaseException:
            folder.cleanup()
            raise
        done = BackgroundTask(folder.cleanup)
        return FileResponse(file, filename=file.name, background=done)

    def uncertain(self, name: str, model: str = "") -> Any:
        """The texts to label whose answers are the most uncertain."""
        data, task, ways = self._data(name)
        with self._pool.lease(task, model or None) as lease:
            used = known_labels(data, ways)
            others = ways.names(lease.pipeline.bundle.labels)
            return {
                "rows": most_uncertain(data, ways, lease.pipeline),
                "known": [*used, *(name for name in others if name not in used)],
            }

    def plan_run(
        self,
        request: Request,
        name: str,
        base: str = Body(""),
        effort: str = Body("standard"),
        settings: dict[str, Any] = Body({}),  # noqa: B008 - as above
    ) -> Any:
        """The check of the data with the expected time."""
        data, task, _ = self._data(name)
        check, chosen = plan(data, task, base=base, effort=effort, settings=settings)
        return {"check": check_values(check, language_of(request), data.folder), "settings": chosen}

    def start(
        self,
        name: str = Body(),
        dataset: str = Body(),
        base: str = Body(""),
        effort: str = Body("standard"),
        settings: dict[str, Any] = Body({}),  # noqa: B008 - as above
    ) -> Any:
        """Start a training run."""
        data, task, _ = self._data(dataset)
        run = TrainingRun.start(
            self._workspace, name, data, task, base=base, effort=effort, settings=settings
        )
        return self._about(run)

    def run(self, name: str) -> Any:
        """The state of a run, its log and curves, and the numbers of its report."""
        run = TrainingRun.open(self._workspace, name)
        return {
            **self._about(run),
            "code": run.code,
            "log": run.log(),
            "curve": run.curve(),
            "command": run.command,
            "numbers": run.numbers(),
            "page": (run.report / "report.html").is_file(),
        }

    def stop(self, name: str) -> Any:
        """Stop a run."""
        TrainingRun.open(self._workspace, name).stop()
        return {}

    def resume(self, name: str) -> Any:
        """Continue a run."""
        TrainingRun.open(self._workspace, name).resume()
        return {}

    def delete_run(self, name: str) -> Any:
        """Delete a run with its model."""
        self._pool.close()
        TrainingRun.open(self._workspace, name).delete()
        return {}

    def report(self, name: str) -> Response:
        """The report as a page."""
        page = TrainingRun.open(self._workspace, name).report / "report.html"
        if not page.is_file():
            raise OptionError(f"The run {name!r} has no report.", hint="Finish the training first.")
        return HTMLResponse(page.read_bytes(), headers={"content-security-policy": _POLICY})

    def behind(self, name: str, truth: str, given: str) -> Any:
        """The rows behind a cell of the confusion matrix."""
        run = TrainingRun.open(self._workspace, name)
        task = self._host.task(str(run.record["task"]))
        with self._pool.lease(task, run.model) as lease:
            rows = rows_behind(run, corrections_of(task), lease.pipeline, truth, given)
        return {"rows": rows}

    def pack(self, name: str) -> Any:
        """Pack the model of a run as a wheel."""
        return {"file": wheel(TrainingRun.open(self._workspace, name), name).name}

    def download(self, file: str) -> Response:
        """A packed model."""
        path = self._workspace.path / "wheels" / Path(file).name
        if path.suffix != ".whl" or not path.is_file():
            raise OptionError(f"There is no wheel {file!r}.", hint="Pack the model of a run first.")
        return FileResponse(path, filename=path.name, media_type="application/octet-stream")

    def _data(self, name: str) -> tuple[DataSet, Task, Corrections]:
        data = DataSet.open(self._workspace, name)
        task = self._host.task(data.task)
        return data, task, corrections_of(task)

    def _about(self, run: TrainingRun) -> dict[str, Any]:
        names = ("task", "dataset", "base", "effort", "created")
        return {
            "name": run.name,
            "state": run.state,
            "stopping": run.stopping,
            "model": str(run.model) if run.model.is_dir() else None,
            **{name: run.record.get(name) for name in names},
        }


def _missing() -> dict[str, Any] | None:
    """What to install before training; None if nothing is missing."""
    try:
        check_packages()
    except MissingExtra as error:
        return error.to_dict()
    return None


def off() -> APIRouter:
    """The route of a server without a workspace."""
    router = APIRouter(prefix=f"/{PREFIX}", include_in_schema=False)

    @router.get("/overview", response_model=None)
    def overview() -> Response:
        return JSONResponse({"path": None})

    return router
