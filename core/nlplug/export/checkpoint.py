"""The PyTorch checkpoint that an export starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import ExportError, ModelNotFound, OfflineError
from nlplug.export.preflight.files import check_fit, check_source, check_unread
from nlplug.export.preflight.findings import stop_if_fatal
from nlplug.export.pretrained import first_problem, load_config, load_model
from nlplug.export.quiet import quiet
from nlplug.export.saved_tokenizer import read_tokenizer
from nlplug.extras import require
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.task import Task


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        name: The folder or Hub id it was loaded from.
        model: The ``transformers.PreTrainedModel`` in float32, in eval mode.
        tokenizer: Its fast tokenizer.
        target_tokenizer: The ``tokenizers.Tokenizer`` of the texts that the model writes, where it
            is another one.
    """

    name: str
    model: Any
    tokenizer: Any
    target_tokenizer: Any = None


def load_checkpoint(source: str | Path, task: Task, *, allowed: tuple[str, ...] = ()) -> Checkpoint:
    """Load a checkpoint in Hugging Face's layout, from safetensors only.

    Args:
        source: A folder or a Hub id.
        task: Decides which head is loaded.
        allowed: Names of checks whose findings do not stop the export.

    Raises:
        ModelNotFound: There is no such folder, and no such repository on the Hub.
        OfflineError: It would have to be downloaded, and the network is switched off.
        ExportError: The checkpoint cannot be exported for the task.
        MissingExtra: torch or transformers is not installed.
    """
    torch = require("torch", "train", purpose="Export")
    transformers = require("transformers", "train", purpose="Export")
    name = str(source)
    folder = Path(source)
    local = folder.is_dir()
    check_source(name, allowed)
    offline = local or load_settings().offline
    auto = getattr(transformers, task.family.auto_class)
    try:
        config = load_config(name, offline=offline)
        check_fit(config, auto, folder if local else None, name, allowed)
        tokenizer, target = _tokenizers(name, config, offline=offline)
        with quiet():
            model, loading = load_model(
                auto,
                name,
                config,
                dtype=torch.float32,
                local_files_only=offline,
                output_loading_info=True,
            )
    except (OSError, ValueError) as error:
        raise _explain(error, name, local=local, offline=offline) from error
    except RuntimeError as error:
        raise _misfit(error, name) from error
    if loading["missing_keys"] or loading["mismatched_keys"]:
        lacking = sorted(str(key) for key in loading["missing_keys"] or loading["mismatched_keys"])
        raise _lacking(lacking, name, task, model.base_model_prefix)
    _check_tokens(model, name)
    stop_if_fatal(check_unread(model, loading["unexpected_keys"]), allowed, name)
    if not tokenizer.is_fast:
        raise ExportError(
            f"The tokenizer of {name} cannot be converted to tokenizer.json.",
            hint="A bundle needs a tokenizer of the `tokenizers` library.",
        )
    _check_labels(model.config, name)
    return Checkpoint(name, model.eval(), tokenizer, target)


def _lacking(tensors: list[str], name: str, task: Task, prefix: str) -> ExportError:
    """The error for tensors that a checkpoint does not have: of its head, or of its body."""
    body = [tensor for tensor in tensors if tensor.startswith(f"{prefix}.")]
    text = f"{name} has no weights for {', '.join(tensors[:4])}"
    if len(body) == len(tensors):
        return ExportError(
            f"{text}: {len(tensors)} tensors are missing.",
            hint="Copy or download the checkpoint again, or save it again.",
        )
    return ExportError(
        f"{text}: it was not trained for {task.name}.",
        hint=f"Train it first: nlplug train {task.name} --base {name} --data ...",
    )


def _tokenizers(name: str, config: Any, *, offline: bool) -> tuple[Any, Any]:
    """The tokenizer, and the one of the texts that the model writes if it is another one."""
    from nlplug.export.marian_tokenizer import fast_tokenizer, marian_folder, marian_tokenizers

    pair = marian_folder(name, offline=offline)
    if pair is None:
        return read_tokenizer(name, offline=offline, config=config), None
    made = marian_tokenizers(pair)
    return fast_tokenizer(pair, made.source), made.target


def _misfit(error: RuntimeError, name: str) -> ExportError:
    """An error with the first of the tensors that do not fit; torch lists all of them."""
    return ExportError(
        f"The weights of {name} do not fit its config.json: {first_problem(error)}",
        hint="Labels (id2label, num_labels) and sizes there must be those of the weights.",
    )


def _check_tokens(model: Any, name: str) -> None:
    """Refuse models that read characters, bytes or pictures, such as CANINE and Perceiver."""
    try:
        table = model.get_input_embeddings()
    except NotImplementedError:
        table = None
    if not hasattr(table, "weight"):
        raise ExportError(
            f"{name} cannot be exported: models of the type {model.config.model_type!r} have no "
            "embeddings of tokens.",
            hint="Use a model that reads the tokens of a tokenizer.",
        )


def _check_labels(config: Any, name: str) -> None:
    ids = sorted(config.id2label)
    if ids != list(range(len(ids))):
        raise ExportError(
            f"The ids in id2label of {name} are {', '.join(map(str, ids[:8]))}, not 0 to "
            f"{len(ids) - 1}.",
            hint="Correct id2label in its config.json: one label for each output, counted from 0.",
        )


def _explain(error: Exception, name: str, *, local: bool, offline: bool) -> Exception:
    text = first_problem(error)
    if local:
        return ExportError(
            f"{name} cannot be loaded: {text}",
            hint="nlplug reads config.json, model.safetensors and tokenizer.json, but no pickled "
            "weights (pytorch_model.bin): save those again with "
            "save_pretrained(safe_serialization=True).",
        )
    if offline:
        return OfflineError(
            f"{name} is not a folder, and the network is switched off.",
            hint="Unset NLPLUG_OFFLINE and HF_HUB_OFFLINE, or name a folder.",
        )
    return ModelNotFound(
        f"{name} is not a folder and cannot be loaded from the Hub: {text}",
        hint="Check the name, and that the repository has model.safetensors.",
    )
