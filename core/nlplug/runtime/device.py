"""Device names, and the ONNX Runtime providers behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nlplug.errors import DeviceError, DeviceFallbackWarning, warn
from nlplug.extras import require

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


def onnxruntime() -> Any:
    """The ``onnxruntime`` module.

    Raises:
        MissingExtra: Neither onnxruntime nor onnxruntime-gpu is installed.
    """
    # One wheel of the two; as hard dependencies they would overwrite each other's files.
    return require("onnxruntime", "cpu", purpose="Inference")


@dataclass(frozen=True)
class Device:
    """Where a session runs: ``cpu``, or ``cuda`` with the index of the card."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def providers(self) -> list[Any]:
        """ONNX Runtime's provider list; the CPU stays last for nodes that the GPU lacks."""
        if self.kind == "cpu":
            return [_CPU]
        return [(_CUDA, {"device_id": str(self.index)}), _CPU]

    @property
    def provider(self) -> str:
        """The provider that must be in the session for it to run on this device."""
        return _CPU if self.kind == "cpu" else _CUDA


def cuda_built_in() -> bool:
    """Whether the installed ONNX Runtime has a CUDA provider at all."""
    return _CUDA in onnxruntime().get_available_providers()


def parse_device(name: str) -> Device:
    """Read ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` is CUDA where the build has it.

    Raises:
        DeviceError: Any other name.
    """
    if name == "auto":
        return Device("cuda") if cuda_built_in() else Device("cpu")
    match = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", name)
    if match is None or (match[1] == "cpu" and match[2] is not None):
        raise DeviceError(
            f"Unknown device {name!r}.", hint="Use 'auto', 'cpu', 'cuda', or 'cuda:N' for a card."
        )
    return Device(match[1], int(match[2] or 0))


def device_name(device: object) -> str:
    """The name of a device that is given as transformers accepts it.

    Args:
        device: A name; -1 for the CPU, another number for that GPU; None for the default; or an
            object whose text is a name, such as a ``torch.device``.

    Raises:
        DeviceError: There is no such device.
    """
    if device is None:
        return "auto"
    if isinstance(device, int) and not isinstance(device, bool):
        name = "cpu" if device == -1 else f"cuda:{device}"
    else:
        name = "cpu" if str(device) == "cpu:0" else str(device)
    if name != "auto":
        parse_device(name)
    return name


def settle_on_cpu(device: str, *, what: str = "text is decoded there") -> None:
    """For what has no GPU form: check the name, and say so to who asked for a GPU.

    Raises:
        DeviceError: Not a name of a device.
    """
    if parse_device(device).kind == "cuda" and device != "auto":
        warn(f"Asked for {device!r}, running on the CPU: {what}.", DeviceFallbackWarning)
