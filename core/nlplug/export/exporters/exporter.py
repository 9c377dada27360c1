"""What an exporter does, and which one the installed packages give.

Optimum's exporter (extra ``train``) needs transformers 4. With transformers 5 (extra ``train5``)
the graphs come from ``torch.onnx``. Everything after the exporter is the same: fusion, int8, the
quality gate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from nlplug.export.stack import transformers_major


class Exporter(Protocol):
    """Converts models of transformers to graphs in float32.

    The model of each method is a ``transformers.PreTrainedModel`` in float32, in eval mode. Its
    weights and its configuration are the same afterwards. The folder is for temporary files, which
    are removed again. The graphs are ``onnx.ModelProto`` with int64 inputs and dynamic batch and
    sequence axes. Each method raises `ExportError` if the architecture cannot be exported, and
    `MissingExtra` if a package is not installed.

    Attributes:
        name: As the manifest of a bundle has it.
    """

    name: str

    def one_pass(self, model: Any, exported_as: str, folder: Path, tokenizer: Any = None) -> Any:
        """The graph of a model that answers in one run.

        Args:
            model: The model.
            exported_as: What it does, such as ``text-classification``.
            folder: For temporary files.
            tokenizer: Its tokenizer, from which some architectures take the shape of their inputs.
        """

    def causal(self, model: Any, folder: Path) -> Any:
        """The graph of a causal language model.

        It has ``past_key_values`` among its inputs and ``present`` among its outputs.

        Args:
            model: The model.
            folder: For temporary files.
        """

    def encoder_decoder(self, model: Any, folder: Path) -> dict[str, Any]:
        """The graphs of a text-to-text model by name, `ENCODER_GRAPH` and `DECODER_GRAPH`.

        The decoder has one branch for its first step and one for the following steps.

        Args:
            model: The model.
            folder: For temporary files.
        """


def installed_exporter() -> Exporter:
    """The exporter for the installed version of transformers.

    Raises:
        MissingExtra: transformers is not installed.
    """
    if transformers_major() < 5:
        from nlplug.export.exporters.optimum import OptimumExporter

        return OptimumExporter()
    from nlplug.export.exporters.torch_onnx import TorchExporter

    return TorchExporter()
