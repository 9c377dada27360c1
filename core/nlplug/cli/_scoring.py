"""What ``nlplug evaluate`` and ``nlplug compare`` share: options, and the file of labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlplug.cli._options import reading_options

if TYPE_CHECKING:
    from nlplug.data.formats import DataFile

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the rows: .csv, .tsv, .jsonl, .json, .conll, .bio (also .gz), .parquet, .xlsx.",
)
device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="Device to run on: auto, cpu, cuda, cuda:N, openvino or openvino:gpu.",
)
threads_option = click.option(
    "--threads", type=int, help="Number of CPU threads.  [default: all available]"
)
text_column_option = click.option("--text-column", help="Column with the text.  [default: text]")
label_column_option = click.option(
    "--label-column", help="Column with the label.  [default: label or labels; depends on the task]"
)
shape_option = click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="Output format.",
)


class ScoringCommand(click.Command):
    """A command on labelled rows, with the options that say how to read their file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += reading_options("--data-format")


def labelled_rows(
    data: Path,
    text_column: str | None,
    label_column: str | None,
    shape: str | None,
    delimiter: str | None,
    encoding: str | None,
) -> tuple[DataFile, dict[str, str]]:
    """The file of labelled rows, and its columns that have other names.

    Args:
        data: Path of the file.
        text_column: Name of the column with the text; None for the usual one.
        label_column: Name of the column with the label; None for the usual one.
        shape: Format of the file; None: from its name.
        delimiter: Delimiter of its columns; None: detected.
        encoding: Encoding of its text; None: detected.
    """
    from nlplug.data.formats import DataFile

    file = DataFile(
        data,
        format=shape,
        delimiter=delimiter,
        encoding=encoding,
        label_column=label_column,
    )
    columns = {"text": text_column, "label": label_column}
    return file, {name: value for name, value in columns.items() if value is not None}
