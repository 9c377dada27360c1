"""The PyTorch checkpoint that an export starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug._extras import require
from nlplug.errors import ExportError, ModelNotFound, OfflineError
from nlplug.export.quiet import quiet
from nlplug.settings import load_settings

if TYPE_CHECKING:
    from nlplug.task import Task


@dataclass(frozen=True)
class Source:
    """A loaded checkpoint.

    Attributes:
        name: The folder or Hub id it was loaded from.
        model: The ``transformers.PreTrainedModel`` in float32, in eval mode.
        tokenizer: Its fast tokenizer.
        target_tokenizer: The ``tokenizers.Tokenizer`` of what it writes, where that is another.
    """

    name: str
    model: Any
    tokenizer: Any
    target_tokenizer: Any = None

    @property
    def config(self) -> Any:
        """The model's ``PretrainedConfig``."""
        return self.model.config


def load_source(source: str | Path, task: Task) -> Source:
    """Load a checkpoint in Hugging Face's layout, from safetensors alone.

    Args:
        source: A folder or a Hub id.
        task: Decides which head is loaded.

    Raises:
        ModelNotFound: No such folder, or not on the Hub.
        OfflineError: It would have to be fetched, and the network is switched off.
        ExportError: It is no checkpoint that can be exported for the task.
        MissingExtra: torch or transformers is not installed.
    """
    torch = require("torch", "train", purpose="Export")
    transformers = require("transformers", "train", purpose="Export")
    name = str(source)
    folder = Path(source)
    local = folder.is_dir()
    if local and not (folder / "config.json").is_file():
        raise ExportError(
            f"{folder} holds no config.json.",
            hint="Name the folder of a checkpoint saved by nlplug train or save_pretrained().",
        )
    if not local and (folder.is_absolute() or name.count("/") > 1 or name.startswith(".")):
        raise ModelNotFound(f"There is no folder {name}.", hint="Check the path.")
    offline = local or load_settings().offline
    auto = getattr(transformers, task.family.auto_class)
    try:
        tokenizer, target = _tokenizers(name, offline=offline)
        with quiet():
            model, loading = auto.from_pretrained(
                name,
                use_safetensors=True,
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
        raise ExportError(
            f"{name} has no weights for {', '.join(lacking[:4])}: it was not trained for "
            f"{task.name}.",
            hint=f"Train it first: nlplug train {task.name} --base {name} --data ...",
        )
    if not tokenizer.is_fast:
        raise ExportError(
            f"The tokenizer of {name} has no fast form (tokenizer.json).",
            hint="Only tokenizers that convert to the `tokenizers` library can be embedded.",
        )
    _check_labels(model.config, name)
    return Source(name, model.eval(), tokenizer, target)


def _tokenizers(name: str, *, offline: bool) -> tuple[Any, Any]:
    """The tokenizer, and that of the texts which the model writes if it is another."""
    from nlplug.export.marian_tokenizer import fast_tokenizer, marian_folder, marian_tokenizers

    transformers = require("transformers", "train", purpose="Export")
    pair = marian_folder(name, offline=offline)
    if pair is None:
        return transformers.AutoTokenizer.from_pretrained(name, local_files_only=offline), None
    made = marian_tokenizers(pair)
    return fast_tokenizer(pair, made.source), made.target


def _misfit(error: RuntimeError, name: str) -> ExportError:
    """torch lists every tensor that does not fit; the first one tells enough."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = next((line for line in lines if "size mismatch" in line), " ".join(lines[:1]))
    return ExportError(
        f"The weights of {name} do not fit its config.json: {found[:300]}",
        hint="Labels (id2label, num_labels) and sizes there must be those of the weights.",
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
    text = str(error).split("\n")[0][:300]
    if local:
        return ExportError(
            f"{name} cannot be loaded: {text}",
            hint="A checkpoint holds config.json, model.safetensors and tokenizer.json; pickled "
            "weights (pytorch_model.bin) are not read: save them again with "
            "save_pretrained(safe_serialization=True).",
        )
    if offline:
        return OfflineError(
            f"{name} is no folder, and the network is switched off.",
            hint="Unset NLPLUG_OFFLINE and HF_HUB_OFFLINE, or name a folder.",
        )
    return ModelNotFound(
        f"{name} is no folder and cannot be loaded from the Hub: {text}",
        hint="Check the name, and that it holds model.safetensors.",
    )
