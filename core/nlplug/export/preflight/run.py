"""The preflight of an export: is the checkpoint itself sound?

The gate compares ONNX with PyTorch. A checkpoint whose weights, configuration and tokenizer do not
belong together answers wrongly in both, and would pass. So before the conversion, which takes most
of the time, the files, the weights and the tokenizer are checked, and the checkpoint is compared
with its record if it has one. On labelled rows the answers of the PyTorch model are checked too
(`nlplug.export.preflight.answers`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.data.readers import read_rows
from nlplug.evaluation.base import evaluation_of
from nlplug.export.preflight.findings import CheckpointFinding, stop_if_fatal
from nlplug.export.preflight.record import check_record
from nlplug.export.preflight.tensors import check_tensors
from nlplug.export.preflight.tied import check_tied
from nlplug.export.preflight.vocabulary import check_tokenizer, token_ids
from nlplug.export.rows import SENTENCES

if TYPE_CHECKING:
    from nlplug.export.checkpoint import Checkpoint
    from nlplug.export.config import ExportConfig

_log = logging.getLogger(__name__)


def check_checkpoint(checkpoint: Checkpoint, config: ExportConfig) -> list[CheckpointFinding]:
    """Check a loaded checkpoint; rows of its embeddings that no text reaches may be mended.

    Returns:
        What was found and does not stop the export.

    Raises:
        ExportError: The checkpoint is damaged.
        DataError: The evaluation data cannot be read.
    """
    folder = Path(checkpoint.name)
    local = folder if folder.is_dir() else None
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    texts = list(row_texts(config))
    own = texts if config.eval_data is not None else ()
    found = check_tokenizer(tokenizer, model, local, own)
    found += check_tensors(model, tokenizer, _used(tokenizer, texts))
    if local is not None:
        found += check_tied(local, model) + check_record(local, model, tokenizer)
    stop_if_fatal(found, config.allow, checkpoint.name)
    for one in found:
        _log.warning("%s: %s", checkpoint.name, one.message)
    return found


def row_texts(config: ExportConfig) -> Iterator[str]:
    """All texts of the rows that the gate will compare on, without labels and tags."""
    if config.eval_data is None:
        yield from SENTENCES
        rows: Iterator[Any] = (example.input for example in config.task.examples)
    else:
        targets = {dict(config.columns).get("label"), *_target_columns(config)}
        read = (row.values for row in islice(read_rows(config.eval_data), config.eval_rows))
        # Where the texts are the targets too, as those of a language model, they are all there is.
        rows = ({k: v for k, v in row.items() if k not in targets} or row for row in read)
    for values in rows:
        for value in values.values():
            parts = value if isinstance(value, list) else [value]
            yield from (part for part in parts if isinstance(part, str))


def _target_columns(config: ExportConfig) -> Sequence[str]:
    family = config.task.family
    return evaluation_of(config.task, []).target_columns if family.scoring else ()


def _used(tokenizer: Any, texts: list[str]) -> set[int]:
    return {one for row in token_ids(tokenizer, texts) for one in row}
