"""What a pipeline shows of its model, under the names that transformers uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nlplug.argument_rules import shown
from nlplug.errors import MissingAttribute
from nlplug.runtime.device import parse_device

if TYPE_CHECKING:
    from nlplug.models.bundle import Bundle

_DTYPES = {"fp32": "float32", "fp16": "float16"}


class DeviceName(str):
    """The name of a device, with the attributes of a ``torch.device``."""

    __slots__ = ()

    @property
    def type(self) -> str:
        """``cpu`` or ``cuda``."""
        return parse_device(str(self)).kind

    def __eq__(self, other: object) -> bool:
        # A torch.device is no text, and programs compare with one.
        return str(self) == str(other)

    __hash__ = str.__hash__

    @property
    def index(self) -> int | None:  # type: ignore[override] # as torch.device has it
        """Number of the GPU; None for the CPU."""
        device = parse_device(str(self))
        return None if device.kind == "cpu" else device.index


class DtypeName(str):
    """The type of a model's numbers, such as ``float32``; equals the ``torch.dtype`` of it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other).removeprefix("torch.")

    __hash__ = str.__hash__


def dtype_of(precision: str) -> DtypeName:
    """The type of the numbers of a precision, such as ``float32``."""
    return DtypeName(_DTYPES.get(precision, precision))


class ConfigView:
    """Values by attribute, such as those of ``config.json``; they cannot be set.

    Args:
        values: The values by name.
    """

    _ACCEPTED = ("_values", "pad_token_id", "bos_token_id", "use_cache", "return_dict")
    _INSTEAD = "Change it in the config.json of the checkpoint, and export that."

    def __setattr__(self, name: str, value: Any) -> None:
        # Programs set the padding token to silence a message of transformers.
        if name not in self._ACCEPTED:
            raise MissingAttribute(
                f"{name} of a model's config cannot be set.",
                hint=self._INSTEAD.format(f"{name}={shown(value)}"),
            )
        super().__setattr__(name, value)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @property
    def problem_type(self) -> str | None:
        """What the labels are for, or None."""
        found: str | None = self._values.get("problem_type")
        return found

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model writes a text for a text."""
        return bool(self._values.get("is_encoder_decoder"))

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values", {})
        if name not in values:
            raise MissingAttribute(
                f"The config of this model has no {name!r}.",
                hint=f"It has: {', '.join(sorted(values)) or 'nothing'}.",
            )
        return values[name]

    def __repr__(self) -> str:
        return f"ConfigView({self._values!r})"

    def to_dict(self) -> dict[str, Any]:
        """All values by name."""
        return dict(self._values)


class DecodingView(ConfigView):
    """Decoding settings by attribute; they cannot be set."""

    _INSTEAD = "Give it to the call or to pipeline(): {}."

    def to_diff_dict(self) -> dict[str, Any]:
        """As `to_dict`: for ``generation_config`` of a call."""
        return self.to_dict()


class ModelView:
    """The model of a pipeline: its config, its name, and where and how it runs.

    Attributes:
        config: See `ConfigView`.
        generation_config: The decoding settings of the model.
        name_or_path: Its folder.
        dtype: The type of its numbers, such as ``float32``, or ``int8``.
        device: Where it runs.
    """

    def __init__(self, bundle: Bundle, precision: str, device: str) -> None:
        self.config = ConfigView(_config_of(bundle))
        self.generation_config = DecodingView(bundle.repository.generation)
        self.name_or_path = str(bundle.path)
        self.dtype = dtype_of(precision)
        self.device = DeviceName(device)

    if not TYPE_CHECKING:  # else type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            raise MissingAttribute(
                f"The model of a pipeline has no {name!r}: it is an ONNX graph, not a module of "
                "PyTorch.",
                hint="It has config, generation_config, name_or_path, dtype and device. Call the "
                "pipeline to run it, and its save_pretrained() to copy it.",
            )

    def __repr__(self) -> str:
        return f"ModelView({self.name_or_path!r}, dtype={self.dtype!r}, device={self.device!r})"


def _config_of(bundle: Bundle) -> dict[str, Any]:
    """``config.json``; ``id2label`` has whole numbers as keys."""
    path = str(bundle.path)
    values = {**bundle.config, "name_or_path": path, "_name_or_path": path}
    if bundle.repository.labels or (bundle.manifest and bundle.manifest.labels):
        labels = bundle.id2label
        values |= {
            "id2label": dict(labels),
            "label2id": {label: number for number, label in labels.items()},
            "num_labels": len(labels),
        }
    return values
