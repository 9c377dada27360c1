"""The weights of a loaded model: values that are not finite, or dead."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.extras import require

_TRAIN_AGAIN = "Restore the tensor from an earlier copy of the checkpoint, or train it again."
_FEW = 3
_CUT, _CUT_ROWS = 0.25, 8
"""Share of rows of zeros at the end of a matrix from which it is cut, and its fewest rows."""


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
            elif words is not None and value is words.weight:
                found += _empty_rows(name, value, tokenizer, used)
            elif (cut := _cut(name, value)) is not None:
                found.append(cut)
        found += _repeated_layers(model)
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


def _empty_rows(
    name: str, value: Any, tokenizer: Any, used: Collection[int]
) -> Iterator[CheckpointFinding]:
    """Tokens of the compared rows whose row of the embeddings has only zeros."""
    empty = (value == 0).all(dim=1).nonzero().flatten().tolist()
    rows = [row for row in empty if row in used and row not in tokenizer.all_special_ids]
    if rows:
        yield CheckpointFinding(
            "tensors",
            f"{name} has only zeros in {_tokens(rows, tokenizer)}: the model cannot tell these "
            "tokens apart.",
            _TRAIN_AGAIN,
        )


def _cut(name: str, value: Any) -> CheckpointFinding | None:
    """A matrix whose last rows are zeros, as a file that was written only in part has it."""
    if value.ndim != 2 or len(value) < _CUT_ROWS:
        return None
    filled = (value != 0).any(dim=1).nonzero().flatten()
    last = int(filled[-1]) + 1
    if last > len(value) * (1 - _CUT):
        return None
    return CheckpointFinding(
        "tensors",
        f"{name} has only zeros in its rows {last} to {len(value) - 1} of {len(value)}: it was "
        "saved or copied in part.",
        _TRAIN_AGAIN,
    )


def _repeated_layers(model: Any) -> Iterator[CheckpointFinding]:
    """Layers of a stack whose weights are all those of an earlier one."""
    torch = require("torch", "train", purpose="Export")
    for name, stack in model.named_modules():
        if not isinstance(stack, torch.nn.ModuleList):
            continue
        layers = [dict(layer.named_parameters()) for layer in stack]
        for place, own in enumerate(layers):
            if not any(value.ndim > 1 for value in own.values()):
                continue
            for earlier, other in enumerate(layers[:place]):
                if own.keys() == other.keys() and all(
                    value is not other[key] and value.equal(other[key])
                    for key, value in own.items()
                ):
                    yield CheckpointFinding(
                        "tensors",
                        f"{name}.{place} has the same weights as {name}.{earlier}: a layer was "
                        "written twice.",
                        _TRAIN_AGAIN,
                    )
                    break


def _tokens(rows: list[int], tokenizer: Any) -> str:
    some = ", ".join(
        f"row {row} (token {tokenizer.convert_ids_to_tokens(row)!r})"
        if row < len(tokenizer)
        else f"row {row} (no token)"
        for row in rows[:_FEW]
    )
    return f"{some} and {len(rows) - _FEW} more rows" if len(rows) > _FEW else some
