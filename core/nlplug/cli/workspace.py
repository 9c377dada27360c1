"""``nlplug workspace``: data sets, training runs and models in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nlplug.cli._context import host_of

if TYPE_CHECKING:
    from nlplug.workspace import WorkspaceFolder

_FOLDER = click.Path(path_type=Path)
_folder = click.argument("folder", type=_FOLDER)


@click.group()
def workspace() -> None:
    """Keep data sets, training runs and models in one folder, shared with the web UI.

    \b
    nlplug workspace create my-work
    nlplug webui --workspace my-work
    """


@workspace.command()
@_folder
def create(folder: Path) -> None:
    """Create a workspace in a new or empty FOLDER."""
    from nlplug.workspace import WorkspaceFolder

    made = WorkspaceFolder.open(folder, create=True)
    click.echo(f"The workspace is in {made.path}. Open it: nlplug webui --workspace {folder}")


@workspace.command("list")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_content(folder: Path, as_json: bool) -> None:
    """List the data sets and training runs of FOLDER."""
    from nlplug.workspace import DataSet, TrainingRun

    opened = _open(folder)
    sets = [
        {"name": one.name, "task": one.task, "rows": len(one.rows())} for one in DataSet.all(opened)
    ]
    runs = [
        {"name": run.name, "task": run.record["task"], "state": run.state}
        for run in TrainingRun.all(opened)
    ]
    if as_json:
        text = json.dumps({"datasets": sets, "runs": runs}, ensure_ascii=False, indent=2)
        click.echo(text)
        return
    for one in sets:
        click.echo(f"data set {one['name']}: {one['task']}, {one['rows']:,} rows")
    for run in runs:
        click.echo(f"run {run['name']}: {run['task']}, {run['state']}")
    if not sets and not runs:
        click.echo("The workspace is empty.")


@workspace.command("import")
@_folder
@click.argument("name")
@click.argument("file", type=_FOLDER)
@click.option("--task", help="Task of a new data set.")
def import_rows(folder: Path, name: str, file: Path, task: str | None) -> None:
    """Add the rows of FILE to the data set NAME of FOLDER, which --task creates if it is new.

    Rows without an answer are added to the texts to label. FILE is a .csv, .tsv, .jsonl, .json,
    .parquet or .conll file, or an export of doccano or Label Studio.
    """
    from nlplug.data.formats import DataFile
    from nlplug.workspace import DataSet
    from nlplug.workspace.datasets import corrections_of

    opened, host = _open(folder), host_of()
    exists = name in [one.name for one in DataSet.all(opened)]
    if task is not None and not exists:
        data = DataSet.create(opened, name, host.task(task))
    else:
        data = DataSet.open(opened, name)
    added = data.take(DataFile(file), corrections_of(host.task(data.task)))
    rows, texts = (
        f"{n:,} {word}{'s' * (n != 1)}"
        for n, word in ((added["rows"], "row"), (added["unlabelled"], "text"))
    )
    click.echo(f"{name}: added {rows} and {texts} to label.")


@workspace.command("export")
@_folder
@click.argument("name")
@click.argument("file", type=_FOLDER)
@click.option("--layout", default="jsonl", show_default=True, help="Also: doccano, label-studio.")
def export_rows(folder: Path, name: str, file: Path, layout: str) -> None:
    """Write the rows of the data set NAME to FILE (.jsonl, .json, .csv or .tsv)."""
    from nlplug.workspace import DataSet
    from nlplug.workspace.datasets import corrections_of
    from nlplug.workspace.exchange import export

    data = DataSet.open(_open(folder), name)
    count = export(data, corrections_of(host_of().task(data.task)), file, layout)
    click.echo(f"{count:,} rows are in {file}.")


def _open(folder: Path) -> WorkspaceFolder:
    from nlplug.workspace import WorkspaceFolder

    return WorkspaceFolder.open(folder)
