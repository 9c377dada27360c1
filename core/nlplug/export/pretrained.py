"""Loading configurations and weights in Hugging Face's layout without running foreign code.

transformers 4.57 loads an attention kernel, which is code, from the repository that the key
``_attn_implementation_internal`` of a ``config.json`` names, if the package ``kernels`` is
installed (CVE-2026-4372). Other keys choose kernels for experts, or name code of the repository
(``auto_map``). Everything that trains or exports reads checkpoints through this module, which
removes these keys, chooses the attention itself, trusts no code, and reads no pickled weights.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlplug.errors import ExportError, NlplugError
from nlplug.export.architectures import tested
from nlplug.export.pooling import KEY, pooled_class
from nlplug.export.stack import transformers_major
from nlplug.extras import require
from nlplug.models.hub import HubRef, look_up
from nlplug.settings import load_settings

_FIELD = re.compile(r"field '(\w+)'")
_UNSAFE = (
    "attn_implementation",
    "experts_implementation",
    "auto_map",
    "custom_generate",
    "use_kernels",
)
"""In the names of all keys that choose an implementation, which can be code of a repository."""


@contextmanager
def reading(problem: str) -> Iterator[None]:
    """Make a ValueError of what goes wrong where transformers reads values from outside.

    It does not check their types, so a number in the place of a list is a TypeError anywhere in it.

    Args:
        problem: What it means, such as ``Its model cannot be made``.

    Raises:
        ValueError: For errors that nobody expects; OSError, ValueError and RuntimeError, as well as
            errors of this project, stay what they are.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError, MemoryError, NlplugError):
        raise
    except Exception as error:
        raise ValueError(f"{problem} ({type(error).__name__}: {error}).") from error


def first_problem(error: Exception) -> str:
    """The line of an error of torch or transformers that says what is wrong, without the others."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    found = next((line for line in lines if "size mismatch" in line), " ".join(lines[:1]))
    return found[:300]


def check_reachable(name: str | Path) -> None:
    """Ask the Hub, once, for a checkpoint that is not on this machine.

    transformers tries again and again for a minute where the Hub is not within reach, and does not
    say what is wrong.

    Args:
        name: A folder, for which nothing is asked, or a Hub id.

    Raises:
        ModelNotFound: There is no such repository, no access to it, or no Hub within reach.
    """
    ref = HubRef.parse(str(name))
    settings = load_settings()
    if ref is None or settings.offline or Path(name).exists():
        return
    from huggingface_hub import try_to_load_from_cache

    if not isinstance(try_to_load_from_cache(ref.repo, "config.json"), str):
        look_up(ref, settings)


def load_config(name: str | Path, *, offline: bool = False, **changes: Any) -> Any:
    """The configuration of a checkpoint, without keys that make transformers load code.

    Args:
        name: A folder or a Hub id.
        offline: Whether the network is switched off.
        changes: Values that replace those of the checkpoint, such as ``num_labels``.

    Returns:
        A ``transformers.PretrainedConfig``.

    Raises:
        OSError: There is no such configuration.
        ValueError: It cannot be read.
        ExportError: transformers does not know its ``model_type``, it is an adapter, or a value
            has a wrong type.
        MissingExtra: transformers is not installed.
    """
    transformers = require("transformers", "train", purpose="Loading a checkpoint")
    with reading("Its config.json cannot be read"):
        values, _ = transformers.PretrainedConfig.get_config_dict(
            str(name), local_files_only=offline
        )
    if transformers.utils.find_adapter_config_file(str(name), local_files_only=offline):
        # Where peft is installed, transformers would load the base that this file names instead.
        raise ExportError(
            f"{name} is an adapter of another model (adapter_config.json).",
            hint="Merge it with peft: AutoPeftModel.from_pretrained(...).merge_and_unload(), then "
            "save_pretrained(FOLDER).",
        )
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or model_type not in transformers.CONFIG_MAPPING:
        raise ExportError(
            f"{name} has the architecture {model_type!r} in its config.json, "
            "which this version of transformers does not support.",
            hint=f"No code of a repository is run. Architectures that are tested: {tested()}.",
        )
    kind = transformers.CONFIG_MAPPING[model_type]
    from huggingface_hub.errors import StrictDataclassError

    with reading("Its config.json has a value of a wrong type"):
        try:
            config = kind.from_dict(_safe(values), **changes)
        except StrictDataclassError as error:  # transformers 5 checks types; this is no ValueError
            raise _wrong_type(error, values) from error
    if getattr(config, "quantization_config", None) is not None:
        # Reading such weights can load kernels, and nothing here computes with them.
        raise ValueError("Its weights are quantized (quantization_config in config.json).")
    if values.get("pruned_heads") and transformers_major() >= 5:
        # transformers 5 would replace the weights of these layers with random ones.
        raise ValueError(
            "Its attention heads are pruned, which needs transformers 4 (extra train)."
        )
    config.name_or_path = str(name)
    return config


def _wrong_type(error: Exception, values: Mapping[str, Any]) -> ExportError:
    """The error for a value in a ``config.json`` that is of another type than transformers asks."""
    field = _FIELD.search(str(error))
    cause = " ".join(str(error.__cause__ or error).split())
    shown = f"{field[1]} is {values.get(field[1])!r} in config.json" if field else "config.json"
    return ExportError(
        f"{shown}: {cause}.", hint="Set it to the value that the model was trained with."
    )


def load_model(
    auto_class: Any, name: str | Path, config: Any, *, attention: str | None = None, **settings: Any
) -> Any:
    """The model of a checkpoint, from safetensors only.

    Args:
        auto_class: A class such as ``transformers.AutoModelForCausalLM``.
        name: A folder or a Hub id.
        config: From `load_config`.
        attention: Attention implementation of transformers, ``sdpa`` or ``eager``; None: ``sdpa``
            if the model has it.
        settings: Further arguments of ``from_pretrained``.

    Returns:
        What ``from_pretrained`` returns.

    Raises:
        OSError: There are no such weights, or only pickled ones.
        ValueError: The class has no model for the configuration, or a value has a wrong type.
        RuntimeError: The weights do not fit the configuration.
    """
    with reading("Its model cannot be made from config.json"):
        loaded = model_class(auto_class, config).from_pretrained(
            str(name),
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=attention or _attention(auto_class, config),
            **settings,
        )
    model = loaded[0] if isinstance(loaded, tuple) else loaded
    # Tables that are computed and not saved, such as sinusoidal positions, are not trained either;
    # transformers 5 forgets that.
    computed = model._keys_to_ignore_on_save or ()
    for name, weight in model.named_parameters():
        if name in computed:
            weight.requires_grad = False
    return loaded


def untrained_model(auto_class: Any, config: Any) -> Any:
    """A model with the tensors that a checkpoint of this configuration has, not initialized.

    Args:
        auto_class: A class such as ``transformers.AutoModelForSequenceClassification``.
        config: The configuration of the checkpoint.

    Raises:
        ValueError: The class has no model for the configuration, or a value has a wrong type.
    """
    kind = model_class(auto_class, config)
    with reading("Its model cannot be made from config.json"):
        return auto_class.from_config(config) if kind is auto_class else kind._from_config(config)


def model_class(auto_class: Any, config: Any) -> Any:
    """The class that loads a checkpoint: the given one, or its form on pooled vectors.

    Args:
        auto_class: A class such as ``transformers.AutoModelForSequenceClassification``.
        config: The configuration of the checkpoint.

    Raises:
        ValueError: The model would load kernels.
    """
    _check_kernels(auto_class, config)
    pooled = getattr(config, KEY, None) is not None
    if not pooled or auto_class.__name__ != "AutoModelForSequenceClassification":
        return auto_class
    return pooled_class(auto_class._model_mapping[type(config)])


def _attention(auto_class: Any, config: Any) -> str:
    """``sdpa`` where the model has it, as transformers chooses by itself; else ``eager``."""
    kinds = _kinds(auto_class, config)
    return "sdpa" if kinds and all(one._supports_sdpa for one in kinds) else "eager"


def _kinds(auto_class: Any, config: Any) -> tuple[Any, ...]:
    """The classes that have a model for the configuration."""
    kind = auto_class._model_mapping.get(type(config), None)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return tuple(one for one in kinds if one is not None)


def _check_kernels(auto_class: Any, config: Any) -> None:
    """Refuse models that get compiled code when they are made, such as YOSO on a GPU.

    With transformers 5 it comes from a repository, whose name no key of the configuration has.
    """
    for kind in _kinds(auto_class, config):
        names = vars(sys.modules[kind.__module__])
        if any(name.startswith("load_") and "kernel" in name for name in names):
            raise ValueError(f"The model type {config.model_type!r} loads kernels, which are code.")


def _safe(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _safe(one) for key, one in value.items() if not _unsafe(key)}
    return [_safe(one) for one in value] if isinstance(value, list) else value


def _unsafe(key: Any) -> bool:
    return any(part in str(key) for part in _UNSAFE)
