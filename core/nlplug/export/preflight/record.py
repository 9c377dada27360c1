"""The record of a checkpoint: how it answered when it was saved.

A wrong number of heads, another activation or a shuffled vocabulary make a model that loads, runs
and answers wrongly, in PyTorch as well as in ONNX, so comparing the two finds nothing. ``nlplug
train`` therefore writes ``nlplug_record.json`` next to the weights: the token ids and some outputs
for fixed texts, the configuration, and a hash of each tensor. An export computes the outputs again.
If they differ, the configuration, the tokenizer and the hashes say what was changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nlplug.errors import ExportError
from nlplug.export.preflight.findings import CheckpointFinding
from nlplug.export.preflight.vocabulary import token_ids
from nlplug.extras import require

RECORD_FILE = "nlplug_record.json"
PROBES = (
    "The train to the coast leaves at seven and arrives before noon.",
    "Great value: it arrived early, WORKS as described, and the battery lasts for days.",
    "Shares of Acme Corp. fell by 4.5 % in Berlin on 12 May 2021, said Jane O'Neill.",
    "No.",
    "Le café était fermé; wir sind trotzdem geblieben.",
    "the film was good and the plot was not bad",
    "Why did the committee in Geneva postpone its decision until the end of the month?",
    "email: jane@example.com, https://example.com/a?b=1",
)
"""Texts in lower and upper case, with numbers, accents and punctuation."""

_COMPARED = ("logits", "last_hidden_state")
_FORMAT = 1
_NUMBERS = 24
_DRAWN, _LENGTH = 6, 16
_TOLERANCE = 1e-3
"""Relative to the largest recorded number (at least 1); other devices differ less."""
# For T5, tie_word_embeddings means something else in transformers 5; the outputs and
# `nlplug.export.preflight.tied` show a wrong value.
_UNSTABLE = frozenset(
    {
        "_name_or_path",
        "architectures",
        "dtype",
        "label2id",
        "tie_word_embeddings",
        "torch_dtype",
        "use_cache",
    }
)
_SHOWN = 4


def write_record(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write the record of a checkpoint that was just saved.

    Args:
        folder: The folder of the checkpoint.
        model: The ``transformers.PreTrainedModel`` that was saved; its mode is kept.
        tokenizer: Its tokenizer.
    """
    training = model.training
    model.eval()
    try:
        outputs = _outputs(model, tokenizer)
    finally:
        model.train(training)
    record = {
        "format": _FORMAT,
        "tokens": _tokens(tokenizer),
        "window": int(min(tokenizer.model_max_length, 2**31)),
        "outputs": [[float(f"{number:.7g}") for number in row] for row in outputs],
        "config": _config(model.config),
        "tensors": dict(_hashes(model)),
    }
    text = json.dumps(record, ensure_ascii=False, indent=1) + "\n"
    (folder / RECORD_FILE).write_text(text, encoding="utf-8")


def check_record(folder: Path, model: Any, tokenizer: Any) -> list[CheckpointFinding]:
    """Compare a checkpoint with its record; nothing if it has none.

    Changed tensors that change none of the recorded numbers are not reported.

    Raises:
        ExportError: The record cannot be read.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return []
    record = _read(path)
    tokens, given = record["tokens"], _tokens(tokenizer)
    changes = list(_changed_config(record["config"], _config(model.config)))
    window = int(min(tokenizer.model_max_length, 2**31))
    if window != record["window"]:
        changes.append(f"the window of the tokenizer is {window} and was {record['window']}")
    changes += _changed_tokens(tokens, given, tokenizer)
    if given == tokens:
        worst = _difference(record["outputs"], _outputs(model, tokenizer))
    else:
        worst = float("nan")  # other tokens have other outputs
    if worst <= _TOLERANCE and not changes:
        return []
    now = dict(_hashes(model))
    tensors = [name for name, value in record["tensors"].items() if now.get(name) != value]
    if tensors:
        more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
        changes.append(f"changed tensors: {', '.join(tensors[:_SHOWN])}{more}")
    outputs = "" if np.isnan(worst) else f" Its outputs differ by {worst:.2g} of the largest."
    return [
        CheckpointFinding(
            "record",
            f"The checkpoint does not answer as it did when it was saved ({RECORD_FILE}): "
            f"{'; '.join(changes) or 'neither configuration, tokenizer nor tensors differ'}."
            f"{outputs}",
            f"Undo the change, or train again. If the change is intended, delete {RECORD_FILE}.",
        )
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != _FORMAT:
            raise ValueError(f"its format is {record['format']}")
        for key in ("tokens", "window", "outputs", "config", "tensors"):
            record[key]
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(
            f"{path} cannot be read: {error}.", hint="Delete it to export without this check."
        ) from None
    return dict(record)


def _tokens(tokenizer: Any) -> list[list[int]]:
    return token_ids(tokenizer, PROBES)


def _outputs(model: Any, tokenizer: Any) -> list[np.ndarray]:
    """Some numbers of the output for each text in a batch of its own, so without padding."""
    torch = require("torch", "train", purpose="Export")
    found = []
    longest = int(getattr(model.config, "max_position_embeddings", 0) or 512) - 2
    rows = int(model.get_input_embeddings().weight.shape[0])
    # Also random tokens: a vocabulary may have none of the words of the texts.
    drawn = np.random.default_rng(0).integers(0, min(rows, len(tokenizer)), (_DRAWN, _LENGTH))
    for ids in [*_tokens(tokenizer), *drawn.tolist()]:
        kept = torch.tensor([[one for one in ids if one < rows][: max(1, longest)] or [0]])
        kept = kept.to(model.device)
        more = {}
        if model.config.is_encoder_decoder:
            more["decoder_input_ids"] = torch.arange(4, device=model.device)[None]
        with torch.inference_mode():
            output = model(input_ids=kept, attention_mask=torch.ones_like(kept), **more)
        compared = [
            value
            for name, value in output.items()
            if name.endswith(_COMPARED) and isinstance(value, torch.Tensor)
        ]
        numbers = torch.cat([value.flatten().float().cpu() for value in compared]).numpy()
        places = np.linspace(0, len(numbers) - 1, min(_NUMBERS, len(numbers))).astype(np.int64)
        found.append(numbers[places])
    return found


def _difference(expected: list[list[float]], given: list[np.ndarray]) -> float:
    """The largest difference, relative to the largest number; infinite for other shapes."""
    worst = 0.0
    largest = max(1.0, max(abs(number) for row in expected for number in row))
    for one, two in zip(expected, given, strict=True):
        if len(one) != len(two):
            return float("inf")
        difference = float(np.abs(np.array(one) - two).max())
        worst = max(worst, difference) if np.isfinite(difference) else float("inf")
    return worst / largest


def _config(config: Any) -> dict[str, Any]:
    """The values that answers depend on, as JSON gives them back."""
    values = json.loads(config.to_json_string(use_diff=False))
    return {
        key: value
        for key, value in values.items()
        if key not in _UNSTABLE
        and not any(part in key for part in ("version", "attn_implementation", "dropout"))
    }


def _changed_config(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    # Another version of transformers may know other keys.
    for key in sorted(before.keys() & now.keys()):
        if before[key] != now[key]:
            yield f"{key} is {_short(now[key])} in config.json and was {_short(before[key])}"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:120]


def _changed_tokens(before: list[list[int]], now: list[list[int]], tokenizer: Any) -> Iterator[str]:
    for text, one, two in zip(PROBES, before, now, strict=True):
        if one != two:
            at = next(
                (i for i, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(two)),
            )
            token = tokenizer.convert_ids_to_tokens(two[at]) if at < len(two) else "nothing"
            was = one[at] if at < len(one) else "nothing"
            yield (
                f"the tokenizer reads {text[:40]!r} otherwise (token {at} is now {token!r}, id "
                f"{two[at] if at < len(two) else '-'}, and was id {was})"
            )
            return


def _hashes(model: Any) -> Iterator[tuple[str, str]]:
    for name, value in model.named_parameters():
        data = value.detach().float().cpu().contiguous().numpy().tobytes()
        yield name, hashlib.blake2b(data, digest_size=8).hexdigest()
