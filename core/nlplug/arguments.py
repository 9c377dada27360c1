"""The arguments of ``transformers.pipeline`` 4.57 and of its calls, as arguments of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.argument_rules import Rule, flag, ignored, only, plain_arguments, shown
from nlplug.errors import OptionError, UnknownTask, warn
from nlplug.inputs import split_into_words
from nlplug.runtime.device import device_name
from nlplug.settings import Settings, load_settings
from nlplug.task import NameRules

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle
    from nlplug.task import Task

_TRANSLATION = re.compile(r"translation_([^_]+)_to_([^_]+)")
_INPUTS = ("inputs", "text_inputs", "sequences")
_OLD_INPUTS = ("data", "X")
_PRECISIONS = {"float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16"}


def named_inputs(
    task: Task, inputs: Any, others: tuple[Any, ...], arguments: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The inputs of a call, from the places and names that transformers has for them.

    Args:
        task: The task.
        inputs: The first positional argument.
        others: Further positional arguments: the other required fields of an input, then the
            options in `Task.positional`.
        arguments: Keyword arguments; ``inputs``, ``text_inputs``, ``sequences`` and the old
            names ``data`` and ``X`` are the first argument.

    Raises:
        OptionError: There are more positional arguments than fields, or the inputs twice.
    """
    left = dict(arguments)
    for name in (*_INPUTS, *_OLD_INPUTS):
        if name in left and name not in task.Input.model_fields:
            if name in _OLD_INPUTS:
                warn(f"{name} is an old name; give the inputs first.", FutureWarning)
            if inputs is not None:
                raise OptionError(
                    f"The inputs are given twice, as the first argument and as {name}.",
                    hint="Give one of the two.",
                )
            inputs = left.pop(name)
    if "words" in task.Input.model_fields:
        delimiter = left.pop("delimiter", " ")
        if flag("is_split_into_words", left.get("is_split_into_words")):
            inputs = split_into_words(inputs, delimiter)
        left.pop("is_split_into_words", None)
    if not others:
        return inputs, left
    if all(isinstance(one, Mapping) for one in (inputs, *others)):
        warn("Several inputs as arguments are an old form; give a list.", FutureWarning)
        return [inputs, *others], left
    fields = [name for name, field in task.Input.model_fields.items() if field.is_required()]
    names = [*fields, *task.positional]
    if len(others) >= len(names):
        raise OptionError(
            f"The task {task.name!r} takes {len(names) or 1} positional argument(s), "
            f"not {len(others) + 1}.",
            hint="Give several inputs as a list, and options by name.",
        )
    given = dict(zip(names[1:], others, strict=False))
    if len(fields) != 1:
        inputs, given = None, {fields[0]: inputs} | given
    if twice := given.keys() & left.keys():
        raise OptionError(f"{min(twice)} is given twice.", hint="Give it by position or by name.")
    return inputs, given | left


@dataclass(frozen=True)
class Setup:
    """The settings of a pipeline.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: A precision of the bundle, or ``auto``.
        preferred: The precision that a ``dtype`` means, used if the bundle has it.
        options: Defaults for the options of calls.
        settings: How a model of the Hub is found.
        model: The model, in its subfolder if one was given.
    """

    device: str
    precision: str
    preferred: str | None
    options: dict[str, Any]
    settings: Settings
    model: Any

    def precision_for(self, bundle: Bundle) -> str:
        """The precision to load from a bundle."""
        if self.preferred is None or self.precision != "auto":
            return self.precision
        if self.preferred in bundle.precisions:
            return self.preferred
        warn(
            f"The model {bundle.name!r} has no precision {self.preferred}, so dtype is ignored; "
            f"it has {', '.join(bundle.precisions)}.",
            UserWarning,
        )
        return "auto"


def read_setup(
    model: Any, device: Any, precision: str | None, arguments: Mapping[str, Any]
) -> Setup:
    """The settings of a pipeline, from the arguments of ``transformers.pipeline`` and ours.

    Raises:
        OptionError: An argument has no meaning here; the hint names the way.
        DeviceError: The device does not exist.
    """
    check_type("precision", precision)
    precision = "auto" if precision is None else precision
    left = plain_arguments(arguments, ("tokenizer", "config"))
    loading = left.pop("model_kwargs", None) or {}
    if not isinstance(loading, Mapping):
        raise OptionError(f"model_kwargs is {shown(loading)}.", hint="Give a dict, or None.")
    _check_names(loading)
    nested = plain_arguments(loading)
    dtypes = [
        source.pop(name)
        for source in (left, nested)
        for name in ("dtype", "torch_dtype")
        if name in source
    ]
    if flag("load_in_8bit", nested.pop("load_in_8bit", False)) and precision == "auto":
        precision = "int8"
    place = left.pop("device_map", None)
    if place is not None:
        device = _mapped(place, device)
    for name in ("tokenizer", "config"):
        given = left.pop(name, None)
        if given is not None:
            _check_own(name, given, model)
    for source in (left, nested):
        for name in [name for name in source if name in _SETUP_RULES]:
            _SETUP_RULES[name](name, source.pop(name))
    hub = {name: source.pop(name) for source in (nested, left) for name in _HUB if name in source}
    preferred = next((found for one in dtypes if (found := _precision_of(one))), None)
    return Setup(
        device_name(device),
        precision,
        preferred,
        left,
        _hub_settings(hub),
        _in_subfolder(model, hub.get("subfolder")),
    )


def _hub_settings(given: Mapping[str, Any]) -> Settings:
    """The settings of the environment, with those that the caller gave for the Hub."""
    if "use_auth_token" in given:
        warn("use_auth_token is an old name; use token.", FutureWarning)
    token = given.get("token", given.get("use_auth_token"))
    if not isinstance(token, str | bool | None):
        raise OptionError(
            f"token is an object of type {type(token).__name__}.",
            hint="Give the token as a text, True for the saved one, or False for none.",
        )
    settings = load_settings()
    cache = given.get("cache_dir")
    check_type("cache_dir", cache)
    return replace(
        settings,
        cache_dir=settings.cache_dir if cache is None else Path(cache).expanduser(),
        offline=settings.offline or flag("local_files_only", given.get("local_files_only")),
        hub_token=token,
    )


def _in_subfolder(model: Any, subfolder: str | None) -> Any:
    check_type("subfolder", subfolder)
    if not subfolder:
        return model
    if isinstance(model, str | Path) and Path(model).is_dir():
        return Path(model) / subfolder
    from nlplug.models.hub import HubRef

    ref = HubRef.parse(f"{model}//{subfolder}")
    if ref is not None:
        return str(ref)
    raise OptionError(
        f"subfolder={shown(subfolder)} needs a model with folders.",
        hint="Give a folder or a Hub id (owner/name) as model.",
    )


def read_task(name: str | None) -> tuple[str | None, dict[str, Any]]:
    """The task of a name, and the options that the name holds.

    ``translation_en_to_fr`` is the task ``translation_xx_to_yy`` with its languages.

    Raises:
        OptionError: The name is not a text.
    """
    check_type("task", name)
    match = _TRANSLATION.fullmatch(name or "")
    if match is None or name == "translation_xx_to_yy":
        return name, {}
    return "translation_xx_to_yy", {"src_lang": match[1], "tgt_lang": match[2]}


def name_rules(task: Task, name: str | None) -> NameRules:
    """What differs under the name that a caller used for a task."""
    return task.name_rules.get(read_task(name)[0] or "", NameRules())


def by_place(others: tuple[Any, ...], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `pipeline`, with those that stand behind task and model, as in transformers.

    Raises:
        OptionError: There are more of them, or one is given by name too.
    """
    if any(value is not None for value in others[len(_PLACES) :]):
        raise OptionError(
            f"pipeline() takes at most {2 + len(_PLACES)} positional arguments, not "
            f"{2 + len(others)}.",
            hint="Give the others by name, such as device='cpu'.",
        )
    placed = zip(_PLACES, others, strict=False)
    given = {name: value for name, value in placed if value is not None}
    for name in given.keys() & arguments.keys():
        raise OptionError(f"{name} is given twice.", hint="Give it once, by name.")
    return given | dict(arguments)


def _check_own(name: str, given: Any, model: Any) -> None:
    """Refuse a tokenizer or a config that is not the model's, by its name."""
    path = getattr(given, "name_or_path", given)
    if not isinstance(path, str | Path) or str(path) != str(getattr(model, "path", model)):
        raise OptionError(
            f"{name}={shown(given)} cannot be used: a model brings its own {name}.",
            hint=f"Leave {name} out; to change it, save it with the model and export that.",
        )
    if path is not given:
        warn(f"{name} is ignored: the model brings its own, of the same name.", UserWarning)


def check_type(name: str, value: Any, *, required: bool = False) -> None:
    """Refuse a value of another type for an argument that is a text or a folder.

    Args:
        name: The argument.
        value: Its value.
        required: Whether it must not be None.

    Raises:
        OptionError: It is another one.
    """
    kinds = str if name not in _FOLDERS else (str, Path)
    if (value is not None or required) and not isinstance(value, kinds):
        raise OptionError(
            f"{name} is an object of type {type(value).__name__}.", hint=f"Give {_TEXTS[name]}."
        )


_FOLDERS = ("cache_dir", "save_directory")
_TEXTS = {
    "task": "the name of a task, such as 'sentiment'",
    "precision": "the name of a precision, such as 'int8'",
    "revision": "a branch, a tag or a commit",
    "subfolder": "the name of a folder",
    **dict.fromkeys(_FOLDERS, "the path of a folder"),
}


def check_model(model: Any, revision: Any = None) -> None:
    """Refuse a value that is neither a name nor a bundle, such as a model of PyTorch.

    Args:
        model: The model.
        revision: Branch, tag or commit; None: the default.

    Raises:
        OptionError: It is none of these.
    """
    from nlplug.models.bundle import Bundle

    check_type("revision", revision)
    if not isinstance(model, str | Path | Bundle | None):
        raise OptionError(
            f"model is an object of type {type(model).__name__}.",
            hint="Give a folder, a name or a Hub id. Save a model of PyTorch with "
            "save_pretrained, then run: nlplug export FOLDER",
        )


def _trusted(name: str, value: Any) -> Mapping[str, Any]:
    if value:
        warn(f"{name} is ignored: no code of a repository is run.", UserWarning)
    return {}


def _without_effect(name: str, value: Any) -> Mapping[str, Any]:
    if value is not None and value is not False:
        warn(f"{name} is ignored: it has no effect on texts.", UserWarning)
    return {}


def _check_names(nested: Mapping[str, Any]) -> None:
    for name in nested:
        if name not in {*_SETUP_RULES, *_HUB, "dtype", "torch_dtype", "load_in_8bit"}:
            raise OptionError(
                f"model_kwargs has {name!r}, which is not available.",
                hint="It is for loading a model into PyTorch; leave it out.",
            )


def _mapped(place: Any, device: Any) -> Any:
    if isinstance(place, Mapping) and len({str(one) for one in place.values()}) == 1:
        place = device_name(next(iter(place.values())))
    if not isinstance(place, str) or device != "auto":
        raise OptionError(
            f"device_map={shown(place)} is not available.",
            hint="A model runs on one device: give only device, such as 'cpu' or 'cuda:0'.",
        )
    return "auto" if place.startswith(("auto", "balanced", "sequential")) else place


def _precision_of(dtype: Any) -> str | None:
    name = str(dtype).removeprefix("torch.")
    if dtype is None or name == "auto":
        return None
    if name in _PRECISIONS:
        return _PRECISIONS[name]
    if name == "bfloat16":
        warn("dtype=bfloat16 is ignored: there is no such precision.", UserWarning)
        return None
    raise OptionError(
        f"dtype={shown(dtype)} is not available.", hint="Give precision, such as 'fp32' or 'int8'."
    )


_PLACES = ("config", "tokenizer", "feature_extractor", "image_processor", "processor", "framework")
"""The arguments behind task and model, in their order in transformers."""
_HUB = ("cache_dir", "local_files_only", "subfolder", "token", "use_auth_token")
"""Arguments about finding a model of the Hub."""
_OWN_CODE = "Leave it out; write a plugin for a pipeline of your own: nlplug plugins new NAME"
_SETUP_RULES: Mapping[str, Rule] = {
    "framework": only(None, "pt", "ort", hint="Leave it out: models run on ONNX Runtime."),
    "use_fast": only(None, True, hint="Leave it out: there are only fast tokenizers."),
    "trust_remote_code": _trusted,
    "code_revision": ignored,
    "attn_implementation": ignored,
    "low_cpu_mem_usage": ignored,
    "use_safetensors": ignored,
    "pipeline_class": only(None, hint=_OWN_CODE),
    **dict.fromkeys(
        ("force_download", "ignore_mismatched_sizes", "output_attentions", "output_hidden_states"),
        only(None, False, hint="Leave it out: models are not loaded into PyTorch."),
    ),
    **dict.fromkeys(
        ("max_memory", "offload_folder", "proxies", "quantization_config", "variant"),
        only(None, hint="Leave it out: models are not loaded into PyTorch."),
    ),
    **dict.fromkeys(("feature_extractor", "image_processor", "processor"), _without_effect),
    **dict.fromkeys(("modelcard", "binary_output", "args_parser"), _without_effect),
}


def task_of(bundle: Bundle) -> str:
    """The task in the manifest; the Hub's name of the task for models not made by nlplug.

    Raises:
        UnknownTask: The model states none.
    """
    manifest = bundle.manifest
    name = (manifest.task or manifest.hub_task) if manifest else ""
    if not name:
        raise UnknownTask(
            f"The model {bundle.name!r} does not say which task it is for.",
            hint="Name the task: pipeline('sentiment', model=…), or --task sentiment.",
        )
    return name
