"""Device names, and the ONNX Runtime providers behind them."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from operator import index
from typing import Any, SupportsIndex

from nlplug.errors import DeviceError, DeviceFallbackWarning, warn
from nlplug.extras import require
from nlplug.settings import load_settings

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
_OPENVINO = "OpenVINOExecutionProvider"
_OPENVINO_DEVICES = ("cpu", "gpu", "npu")
NAMES = "'auto', 'cpu', 'cuda', 'cuda:N' for a card, 'openvino', 'openvino:gpu' or 'openvino:npu'"
"""The names of devices, for help texts."""


def onnxruntime() -> Any:
    """The ``onnxruntime`` module.

    Raises:
        MissingExtra: No wheel of ONNX Runtime is installed.
    """
    # One wheel of several; as hard dependencies they would overwrite each other's files.
    return require("onnxruntime", "cpu", purpose="Inference")


@dataclass(frozen=True)
class Device:
    """Where a session runs.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``openvino``.
        index: The number of the card, for ``cuda``.
        part: What OpenVINO runs on: ``cpu``, ``gpu`` or ``npu``.
    """

    kind: str
    index: int = 0
    part: str = "cpu"

    def __str__(self) -> str:
        match self.kind:
            case "cuda":
                return f"cuda:{self.index}"
            case "openvino":
                return f"openvino:{self.part}"
        return self.kind

    @property
    def on_cpu(self) -> bool:
        """Whether the cores of the CPU compute, with ONNX Runtime's kernels or OpenVINO's."""
        return self.kind == "cpu" or (self.kind == "openvino" and self.part == "cpu")

    def providers(self, threads: int, *, may_cache: bool = True) -> list[Any]:
        """ONNX Runtime's provider list; the CPU stays last for nodes that the device lacks.

        Args:
            threads: Threads within a node.
            may_cache: Whether the compiled graph may be kept on the disk; not that of an encrypted
                graph, as it holds the weights.
        """
        match self.kind:
            case "cuda":
                return [(_CUDA, {"device_id": str(self.index)}), _CPU]
            case "openvino":
                return [(_OPENVINO, self._openvino(threads, may_cache)), _CPU]
        return [_CPU]

    def _openvino(self, threads: int, may_cache: bool) -> dict[str, str]:
        options = {"device_type": self.part.upper()}
        if self.part == "cpu":
            return {**options, "num_of_threads": str(threads)}
        if not may_cache:
            return options
        # Compiling for these takes seconds, so the result is kept.
        cache = load_settings().cache_dir / "openvino"
        cache.mkdir(parents=True, exist_ok=True)
        return {**options, "cache_dir": str(cache)}

    @property
    def provider(self) -> str:
        """The provider that must be in the session for it to run on this device."""
        return {"cpu": _CPU, "cuda": _CUDA, "openvino": _OPENVINO}[self.kind]

    @property
    def built_in(self) -> bool:
        """Whether the installed ONNX Runtime has the provider at all."""
        return self.provider in onnxruntime().get_available_providers()

    @property
    def present(self) -> bool:
        """Whether ONNX Runtime has the provider, and for ``cuda`` this process a driver.

        Only a session knows whether the provider starts.
        """
        if self.kind == "cpu":
            return True
        return self.built_in and (self.kind != "cuda" or _has_driver())


def _has_driver() -> bool:
    """Whether NVIDIA's driver is installed, and its cards are not hidden from this process.

    CUDA is not initialized: a process that is forked afterwards could not use it.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def parse_device(name: str) -> Device:
    """Read the name of a device; ``auto`` is CUDA where it is present, else the CPU.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:N``, ``openvino``, ``openvino:cpu``,
            ``openvino:gpu`` or ``openvino:npu``.

    Raises:
        DeviceError: Any other name.
    """
    if name == "auto":
        return cuda if (cuda := Device("cuda")).present else Device("cpu")
    kind, _, part = name.lower().partition(":")
    if kind == "openvino" and (part or "cpu") in _OPENVINO_DEVICES:
        return Device(kind, part=part or "cpu")
    match = re.fullmatch(r"(cpu|cuda)(?::(\d+))?", name)
    if match is None or (match[1] == "cpu" and match[2] is not None):
        raise DeviceError(f"Unknown device {name!r}.", hint=f"Use {NAMES}.")
    return Device(match[1], int(match[2] or 0))


def device_name(device: object) -> str:
    """The name of a device that is given as transformers accepts it.

    Args:
        device: A name; a negative number for the CPU, another number for that GPU; None for the
            default; or an object whose text is a name, such as a ``torch.device``.

    Raises:
        DeviceError: There is no such device.
    """
    if device is None:
        return "auto"
    name = "cpu" if str(device) == "cpu:0" else str(device)
    if isinstance(device, SupportsIndex) and not isinstance(device, bool):
        with suppress(TypeError):  # an array of several numbers
            number = index(device)
            name = "cpu" if number < 0 else f"cuda:{number}"
    if name != "auto":
        parse_device(name)
    return name


def warn_unless_cpu(device: str, *, what: str = "text is decoded there") -> None:
    """For what runs on the CPU only: check the name, and warn who asked for another device.

    Raises:
        DeviceError: Not a name of a device.
    """
    if parse_device(device).kind != "cpu" and device != "auto":
        warn(f"Asked for {device!r}, running on the CPU: {what}.", DeviceFallbackWarning)
