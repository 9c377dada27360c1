"""A task bound to a model: what it is made of, and the attributes that transformers has for it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from nlplug.argument_rules import UnlessStated
from nlplug.arguments import check_type, name_rules
from nlplug.by_language import ByLanguage, ModelChoice, StreamingByLanguage
from nlplug.errors import MissingAttribute, OptionError, warn
from nlplug.language_guard import LanguageGuard
from nlplug.model_views import (
    DecodingView,
    DeviceName,
    DtypeName,
    ModelView,
    dtype_of,
)
from nlplug.models.bundle import Bundle
from nlplug.models.tuned import precision_and_device
from nlplug.settings import load_settings
from nlplug.tokenizer_view import TokenizerView
from nlplug.validation import make_input, make_options, merge_options, model_defaults

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nlplug.task import Runner, Task, TaskOptions

_OVERRIDE = "To change how inputs are read or answers are made, write a plugin whose TaskModel has "
_INSTEAD = {
    "preprocess": f"{_OVERRIDE}encode().",
    "postprocess": f"{_OVERRIDE}decode().",
    **dict.fromkeys(
        ("forward", "_forward", "run_single", "run_multi", "iterate", "get_iterator"),
        f"{_OVERRIDE}encode() and decode().",
    ),
    "push_to_hub": "Write the model with save_pretrained(), then upload the folder with: hf upload",
    "ensure_tensor_on_device": "Leave it out: answers are plain Python values.",
}


class BoundTask:
    """The state of a pipeline.

    It can be pickled and copied: the copy opens the same model folder again.

    Args:
        definition: The task.
        bundle: The model.
        others: Models of further languages; each input is answered by one that knows its language,
            else by ``bundle``.
        precision: A precision of the bundle, or ``auto``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads; None: ``NLPLUG_THREADS``, else the CPUs that the process may use.
        options: Defaults for the task's options; they override the defaults of the bundle.
        name: The name that the caller used for the task; None: the task's own. Where transformers
            has other defaults or shapes, those of this name apply; see `nlplug.task.NameRules`.

    Attributes:
        definition: The task.
        task: The name that the caller used for it.
        bundle: The model.
        precision: The precision that runs.

    Raises:
        BundleError: The bundle does not fit this task.
        OptionError: The bundle does not have the precision, or an option is invalid.
    """

    feature_extractor = image_processor = processor = modelcard = assistant_model = None
    prefix = default_input_names = call_count = None
    binary_output = False
    framework = "ort"
    """ONNX Runtime, where transformers has ``pt``."""

    def __init__(
        self,
        definition: Task,
        bundle: Bundle,
        *,
        others: Sequence[Bundle] = (),
        precision: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        self.definition = definition
        self.task = name or definition.name
        self.bundle = bundle
        self._choice = ModelChoice(definition, (bundle, *others))
        self._setup = {
            "others": [other.path.resolve() for other in others],
            "precision": precision,
            "device": device,
            "threads": threads,
            "options": dict(options or {}),
            "name": name,
        }
        # Kept as in transformers; batches are made here by the lengths of the texts.
        self._batch_size, self._num_workers = (
            (options or {}).get(name) for name in ("batch_size", "num_workers")
        )
        self._rules = name_rules(definition, self.task)
        # Of several models each has its own.
        known = {} if others else model_defaults(definition, bundle)
        preset = definition.adapt(options or {})
        rules = self._rules
        own = {**known, **rules.options}
        self._stated = merge_options(definition, own, preset)
        lent = {} if _has_own_defaults(preset) else rules.unless_stated
        self._defaults = merge_options(definition, {**lent, **own}, preset)
        self._preset = frozenset(name for name, value in preset.items() if value is not False)
        # For `Task.shape` the model's defaults count as options of each call.
        self._model_defaults = frozenset(known) - self._preset
        # Most calls give no options; these are immutable, so all such calls may have the same.
        self._without_any = make_options(definition, self._defaults)
        threads = threads if threads is not None else load_settings().threads
        self._guard = LanguageGuard(definition, self._choice)

        self.precision, _ = precision_and_device(bundle, precision, device)

        def load(model: Bundle) -> Runner:
            chosen, place = precision_and_device(model, precision, device)
            return definition.load(model, precision=chosen, device=place, threads=threads)

        kind = StreamingByLanguage if definition.family.streams else ByLanguage
        self._runner = kind(definition, self._choice, load) if others else load(bundle)

    @property
    def device(self) -> DeviceName:
        """The device that the model runs on: ``cpu`` or ``cuda:N``."""
        return DeviceName(self._runner.device)

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The models: several if they answer by the language of the text."""
        return self._choice.bundles

    @property
    def answered(self) -> Mapping[str, int]:
        """Number of inputs so far by the model that answered them; empty if there is one model."""
        return dict(self._runner.answered) if isinstance(self._runner, ByLanguage) else {}

    def bundle_for(self, item: Any, options: Mapping[str, Any] | None = None) -> Bundle:
        """The model that answers an input.

        Args:
            item: A text, a dict of the fields, or the task's ``Input``.
            options: Options of the call.

        Raises:
            InputError: The input is malformed.
            OptionError: An option is invalid.
        """
        parsed = self._options(options or {})
        return self.bundles[self._choice.place(make_input(self.definition, item), parsed)]

    @property
    def concurrency(self) -> int:
        """Number of calls that a server makes at the same time; see `nlplug.task.Runner`."""
        return self._runner.concurrency

    @property
    def defaults(self) -> dict[str, Any]:
        """Default options of the model and of this pipeline; the task's own defaults are not
        included."""
        return dict(self._defaults)

    @property
    def model(self) -> ModelView:
        """The model with ``config``, ``name_or_path``, ``dtype`` and ``device``."""
        return ModelView(self.bundle, self.precision, self._runner.device)

    @cached_property
    def tokenizer(self) -> TokenizerView:
        """The tokenizer, which can be called, with its special tokens."""
        inputs = self.bundle.signature(self.precision).inputs
        return TokenizerView(self.bundle, type_ids="token_type_ids" in inputs)

    @property
    def dtype(self) -> DtypeName:
        """The type of the model's numbers, such as ``float32``, or ``int8``."""
        return dtype_of(self.precision)

    @property
    def torch_dtype(self) -> DtypeName:
        """Old name of `dtype`."""
        warn("torch_dtype is an old name; use dtype.", FutureWarning)
        return self.dtype

    @property
    def generation_config(self) -> DecodingView:
        """The options in force, by attribute."""
        return DecodingView(self._without_any.model_dump())

    def _options(self, given: Mapping[str, Any]) -> TaskOptions:
        """The options of a call: those given, and the defaults that they do not replace."""
        if not given:
            return self._without_any
        defaults = self._stated if _has_own_defaults(given) else self._defaults
        return make_options(self.definition, merge_options(self.definition, defaults, given))

    def check_model_type(self, supported_models: object) -> None:
        """Accepted as in transformers; the graph was checked when the pipeline was created."""

    def device_placement(self) -> AbstractContextManager[None]:
        """Does nothing: a model stays on its device."""
        return nullcontext()

    def create_sample(self, *values: Any, **fields: Any) -> dict[str, Any]:
        """One input from its fields, by position or by name; they must not be lists.

        Raises:
            InputError: A field is missing, unknown or of another type.
            OptionError: There are more values than fields.
        """
        names = list(self.definition.Input.model_fields)
        if len(values) > len(names):
            raise OptionError(
                f"{len(values)} values are given, but an input has {len(names)} "
                f"field{'s' * (len(names) != 1)}.",
                hint=f"The fields are: {', '.join(names)}.",
            )
        given = dict(zip(names, values, strict=False)) | fields
        return make_input(self.definition, given).model_dump(exclude_unset=True)

    def save_pretrained(self, save_directory: str | Path, **_: Any) -> None:
        """Copy the model to a folder, from which it can be loaded.

        Args:
            save_directory: A new or empty folder.
            **_: Accepted as in transformers, without effect.

        Raises:
            OptionError: The folder holds files, or is a file.
            OSError: It cannot be written.
        """
        check_type("save_directory", save_directory, required=True)
        target = Path(save_directory)
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise OptionError(f"{target} exists.", hint="Name a new or an empty folder.")
        shutil.copytree(self.bundle.path, target, dirs_exist_ok=True)

    def open(self) -> None:
        """Build the sessions now instead of at the first call, as a server does.

        Raises:
            BundleError: ONNX Runtime cannot load the graph.
        """
        self._runner.open()

    def close(self) -> None:
        """Release the model and the worker threads."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.definition, self.bundle.path.resolve(), self._setup)

    def __repr__(self) -> str:
        names = ", ".join(bundle.name for bundle in self._choice.bundles)
        return (
            f"Pipeline(task={self.task!r}, model={names!r}, "
            f"precision={self.precision!r}, device={str(self.device)!r})"
        )

    if not TYPE_CHECKING:  # else type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            own = vars(self)
            if {"definition", "bundle"} <= own.keys():  # missing before __init__
                found = own["definition"].attributes(own["bundle"])
                if name in found:
                    return found[name]
            raise MissingAttribute(
                f"A pipeline has no attribute {name!r}.",
                hint=_INSTEAD.get(name, "See docs/dropin.md for the attributes of transformers."),
            )


def _has_own_defaults(given: Mapping[str, Any]) -> bool:
    """Whether the defaults of a task or its name do not hold beside these options."""
    return any(isinstance(value, UnlessStated) for value in given.values())


def _rebuilt(
    kind: type[BoundTask], definition: Task, path: Path, setup: Mapping[str, Any]
) -> BoundTask:
    """A pipeline like another one, which may be in another process."""
    others = [Bundle.open(other) for other in setup["others"]]
    return kind(definition, Bundle.open(path), **{**setup, "others": others})
