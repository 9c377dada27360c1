"""The routes of the batch tab: the results on the server, and their files."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

from nlplug.errors import OptionError
from nlplug_webui.batch_runs import BatchRuns
from nlplug_webui.batch_store import KINDS
from nlplug_webui.workshop.requests import page_router

PREFIX = "np-batches"
"""First path segment of the routes."""
_MOST = 200


class Batches:
    """The routes.

    Args:
        runs: The batches of the server.
    """

    def __init__(self, runs: BatchRuns) -> None:
        self._runs = runs
        self.router = page_router(
            PREFIX,
            [
                ("GET", "", self.known),
                ("GET", "/{id}/{kind}", self.file),
                ("DELETE", "/{id}", self.delete),
            ],
        )

    def known(self, ids: str = "") -> Any:
        """Those of some batches that run or left a result, which has a name and a time.

        Args:
            ids: Their names, separated by commas.
        """
        found = []
        for id in ids.split(",")[:_MOST]:
            result = self._runs.store.find(id, opened=False)
            if result is not None:
                found.append({"id": id, "source": result.source, "ended": result.ended})
            elif (run := self._runs.find(id)) is not None and not run.ended:
                found.append({"id": id, "source": None, "ended": None})
        return {"found": found}

    def file(self, id: str, kind: str) -> FileResponse:
        """A file of a result."""
        path = self._runs.store.file(id, kind) if kind in KINDS else None
        if path is None:
            raise HTTPException(404, "This result is no longer on the server.")
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return FileResponse(path, filename=path.name, headers=headers)

    def delete(self, id: str) -> Any:
        """Delete a result and its files."""
        run = self._runs.find(id)
        if run is not None and not run.ended:
            raise OptionError("This file is being processed.", hint="Stop it first.")
        self._runs.store.delete(id)
        return {}
