"""The weights of a loaded model: values that are not finite, or dead."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.extras import require

_TRAIN_AGAIN = "Restore the tensor from an earlier copy of the checkpoint, or train it again."
_FEW = 3


def check_tensors(model: Any, tokenizer: Any, used: Collection[int]) -> list[CheckpointFinding]:
    """Look at all weights; rows of the embeddings that no text reaches are mended in the model.

    Args:
        model: A ``transformers.PreTrainedModel`` in float32; changed where a row is mended.
        tokenizer: Its tokenizer, to name the tokens of rows.
        used: Ids of the tokens that the rows of the export have.
    """
    torch = require("torch", "train", purpose="Export")
    tables = {
        f"{name}.weight": module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
    }
    words = model.get_input_embeddings()
    found: list[CheckpointFinding] = []
    with torch.no_grad():
        for name, value in model.named_parameters():
            if not value.is_floating_point():
                continue
            if not torch.isfinite(value).all():
                if words is not None and value is words.weight:
                    found += _bad_rows(name, value, tokenizer, used)
                else:
                    found.append(_bad_tensor(name, value))
            elif (dead := _dead(name, value, table=name in tables)) is not None:
                found.append(dead)
    return found


def _bad_tensor(name: str, value: Any) -> CheckpointFinding:
    bad = ~value.isfinite()
    kind = "NaN" if bool(value.isnan().any()) else "infinite"
    first = [int(axis) for axis in bad.nonzero()[0]]
    return CheckpointFinding(
        "tensors",
        f"{name} has {int(bad.sum())} of {value.numel()} values that are {kind}, the first at "
        f"{first}.",
        _TRAIN_AGAIN,
    )


def _bad_rows(
    name: str, value: Any, tokenizer: Any, used: Collection[int]
) -> Iterator[CheckpointFinding]:
    """Rows of the embeddings of tokens; those that the rows do not use become another row.

    A token that no text has and the padding, which attention ignores, become zeros; a token that
    only the rows of the export lack is read as the unknown token, or as the mean of all rows.
    """
    rows = [int(row) for row in (~value.isfinite().all(dim=1)).nonzero().flatten()]
    reached = [row for row in rows if row in used]
    if reached or len(rows) == len(value):
        yield CheckpointFinding(
            "tensors",
            f"{name} has values that are NaN or infinite in {_tokens(reached or rows, tokenizer)}; "
            "texts with these tokens have no answer.",
            _TRAIN_AGAIN,
        )
        return
    tokens = len(tokenizer)
    unknown = tokenizer.unk_token_id
    mean = value[value.isfinite().all(dim=1)].mean(dim=0)
    filling = mean if unknown is None or unknown in rows else value[unknown].clone()
    for row in rows:
        unreachable = row >= tokens or row == tokenizer.pad_token_id
        value[row] = 0.0 if unreachable else filling
    yield CheckpointFinding(
        "tensors",
        f"{name} has values that are NaN or infinite in {_tokens(rows, tokenizer)}. None of the "
        "rows compared has these tokens. Their rows are replaced: by zeros where no text can have "
        f"the token, else by {'the mean of all rows' if filling is mean else 'the unknown token'}.",
        _TRAIN_AGAIN,
        fatal=False,
        mended=True,
    )


def _dead(name: str, value: Any, *, table: bool) -> CheckpointFinding | None:
    """A matrix of zeros or of equal rows; tables with few rows may be so."""
    if name.endswith("bias") or value.shape[0] < 2 or (table and value.shape[0] <= 2):
        return None
    if not value.any():
        what = "has only zeros"
    elif value.ndim > 1 and bool((value == value[:1]).all()):
        what = f"has {value.shape[0]} equal rows"
    else:
        return None
    return CheckpointFinding(
        "tensors", f"{name} {what}: the model ignores its input there.", _TRAIN_AGAIN
    )


def _tokens(rows: list[int], tokenizer: Any) -> str:
    some = ", ".join(
        f"row {row} (token {tokenizer.convert_ids_to_tokens(row)!r})"
        if row < len(tokenizer)
        else f"row {row} (no token)"
        for row in rows[:_FEW]
    )
    return f"{some} and {len(rows) - _FEW} more rows" if len(rows) > _FEW else some
