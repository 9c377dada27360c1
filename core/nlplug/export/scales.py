"""Fixed scales of activations, so that the answer to a text is independent of its batch.

``DynamicQuantizeLinear`` and ``DynamicQuantizeMatMul`` take the scale from the largest activation
of the whole batch, so the rows of a batch change each other's results. Here real texts are run
once, the activations that products read are recorded, and for each the range with the least error
of its products is written into the graph. Products of integers are exact, so a row then has the
same result in every batch. The graph also has one pass less over each activation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from nlplug.errors import ExportError
from nlplug.export.graph import MICROSOFT, GraphEditor
from nlplug.runtime.cpu import usable_cpus
from nlplug.runtime.session import build_session, session_options

BY_BATCH = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul")
"""The operators that take one scale for a whole batch."""

_TOKENS_PER_RUN = 8
_TOKENS = 4096
_SHARES = (1.1, 1.0, 0.92, 0.85, 0.78, 0.7, 0.62, 0.55, 0.48, 0.4, 0.33, 0.25)
"""Of the largest recorded activation; a smaller range clips outliers and has a finer grid."""
_ROUNDS = 2
_LEVELS = 255


@dataclass(frozen=True)
class Range:
    """The activations that the integers 0 to 255 stand for.

    Attributes:
        scale: float32 of shape ().
        zero: The integer for 0, uint8 of shape ().
    """

    scale: np.ndarray
    zero: np.ndarray

    @classmethod
    def of(cls, low: float, high: float) -> Range:
        """From ``low`` (at most 0) to ``high`` (at least 0), moved so that 0 is on the grid."""
        scale = np.float32(max(high - low, 1e-12) / _LEVELS)
        return cls(np.asarray(scale), np.asarray(np.rint(-low / scale).astype(np.uint8)))

    def error(self, values: np.ndarray) -> np.ndarray:
        """What rounding changes of each value."""
        zero = np.float32(self.zero)
        rounded = np.clip(np.rint(values / self.scale) + zero, 0, _LEVELS)
        return np.asarray((rounded - zero) * self.scale - values)


class ActivationRecorder:
    """Runs a graph as an ``InferenceSession`` does, and records what its int8 products read.

    Args:
        model: The ``onnx.ModelProto``, quantized with one scale per batch; not changed.
    """

    def __init__(self, model: Any) -> None:
        self._names = list(_readers(GraphEditor(model)))
        probe = onnx.ModelProto.FromString(model.SerializeToString())
        self._outputs = [value.name for value in probe.graph.output]
        probe.graph.output.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in self._names
        )
        self._session = build_session(probe.SerializeToString(), session_options(usable_cpus()))
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._kept: dict[str, list[np.ndarray]] = {name: [] for name in self._names}

    @property
    def activations(self) -> dict[str, np.ndarray]:
        """By name, float32 of shape (tokens, channels); a sample if there were many tokens."""
        return {name: _sample(np.concatenate(parts)) for name, parts in self._kept.items() if parts}

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, np.ndarray]) -> list[Any]:
        """As ``InferenceSession.run``; inputs that the graph does not declare are ignored."""
        wanted = list(names or self._outputs)
        known = {name: value for name, value in feeds.items() if name in self._inputs}
        values = self._session.run([*wanted, *self._names], known)
        self._keep(values[len(wanted) :])
        return list(values[: len(wanted)])

    def get_inputs(self) -> Any:
        """As ``InferenceSession.get_inputs``."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """As ``InferenceSession.get_outputs``, without the recorded activations."""
        return self._session.get_outputs()[: len(self._outputs)]

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata of the graph."""
        found: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        return found

    def io_binding(self) -> Any:
        """As ``InferenceSession.io_binding``."""
        return self._session.io_binding()

    def run_with_iobinding(self, binding: Any) -> None:
        """As ``InferenceSession.run_with_iobinding``."""
        for name in self._names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        bound = list(binding.get_outputs())
        self._keep([value.numpy() for value in bound[len(bound) - len(self._names) :]])

    def _keep(self, values: Sequence[np.ndarray]) -> None:
        for name, value in zip(self._names, values, strict=True):
            tokens = value.reshape(-1, value.shape[-1])
            # Evenly spaced, with the special tokens at both ends, which have outliers.
            places = np.linspace(0, len(tokens) - 1, min(_TOKENS_PER_RUN, len(tokens)))
            self._kept[name].append(tokens[places.astype(np.int64)].astype(np.float32))


def record(model: Any, calibration: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The activations of a graph that answers in one run; see `ActivationRecorder.activations`.

    Args:
        model: The graph.
        calibration: Real inputs, one text each, without padding.
    """
    recorder = ActivationRecorder(model)
    for feeds in calibration:
        recorder.run(None, feeds)
    return recorder.activations


def fix_scales(model: Any, activations: Mapping[str, np.ndarray]) -> int:
    """Replace the scales that are taken from each batch with fixed ones, in place.

    The weights stay as they are. Products that read the same activation share its integers.

    Args:
        model: An ``onnx.ModelProto`` whose nodes have no subgraphs.
        activations: Made by `record` or an `ActivationRecorder` from this model.

    Returns:
        The number of activations with a fixed scale.

    Raises:
        ExportError: An activation was not recorded.
    """
    editor = GraphEditor(model)
    ranges = {}
    for name, weights in _readers(editor).items():
        if name not in activations:
            raise ExportError(
                f"The calibration rows never reach the activation {name!r}.",
                hint="Give more rows, or export with one scale per batch: --scales batch.",
            )
        weight = np.concatenate(weights, axis=1) if weights else None
        ranges[name] = best_range(activations[name], weight)
    _replace(editor, ranges)
    editor.finish()
    return len(ranges)


def best_range(values: np.ndarray, weight: np.ndarray | None) -> Range:
    """The range with the least squared error of the product.

    Args:
        values: Recorded activations, shape (tokens, channels).
        weight: The weights that read them, shape (channels, outputs); None where they are not
            known, to take the error of the activations.
    """
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    # The same sum with the smaller of two products.
    wide = weight is not None and weight.shape[0] < weight.shape[1]
    squared = weight @ weight.T if weight is not None and wide else None
    found: dict[tuple[float, float], float] = {}

    def error(below: float, above: float) -> float:
        if (below, above) not in found:
            wrong = Range.of(low * below, high * above).error(values)
            if squared is not None:
                found[below, above] = float(np.vdot(wrong @ squared, wrong))
            else:
                found[below, above] = float(
                    np.square(wrong if weight is None else wrong @ weight).sum()
                )
        return found[below, above]

    below = above = 1.0
    for _ in range(_ROUNDS):
        if low < 0:
            below = min(_SHARES, key=lambda share: error(share, above))
        if high > 0:
            above = min(_SHARES, key=lambda share: error(below, share))
    return Range.of(low * below, high * above)


def _readers(editor: GraphEditor) -> dict[str, list[np.ndarray]]:
    """For each activation that is quantized by batch the float weights that are known to read it.

    Those of nlplug's own graphs are known. The scales of other graphs are in operators of their
    own after the product, so their list is empty.
    """
    found: dict[str, list[np.ndarray]] = {}
    attention = {node.input[0]: node for node in editor.nodes if node.op_type == "QAttention"}
    for node in editor.nodes:
        if node.op_type not in BY_BATCH:
            continue
        weights = found.setdefault(node.input[0], [])
        reader = node
        if node.op_type == "DynamicQuantizeLinear":
            if node.output[0] not in attention:
                continue
            reader = attention[node.output[0]]
        scale = reader.input[2 if reader is node else 4]
        integers, step = editor.weight(reader.input[1]), editor.weight(scale)
        if integers is not None and step is not None:
            weights.append(integers.astype(np.float32) * step)
    return found


def _replace(editor: GraphEditor, ranges: Mapping[str, Range]) -> None:
    written: set[str] = set()
    renamed: dict[str, str] = {}

    def fixed(name: str) -> tuple[list[Any], str, str, str]:
        """The node that rounds an activation, the first time; its integers, scale and zero."""
        whole = f"{name}_fixed"
        scale = editor.add_weight(f"{whole}_scale", ranges[name].scale)
        zero = editor.add_weight(f"{whole}_zero", ranges[name].zero)
        nodes = []
        if name not in written:
            written.add(name)
            nodes.append(helper.make_node("QuantizeLinear", [name, scale, zero], [whole]))
        return nodes, whole, scale, zero

    def change(node: Any) -> list[Any] | None:
        if renamed.keys() & set(node.input):
            for index, name in enumerate(node.input):
                node.input[index] = renamed.get(name, name)
            return [node]
        if node.op_type not in BY_BATCH or node.input[0] not in ranges:
            return None
        nodes, whole, scale, zero = fixed(node.input[0])
        if node.op_type == "DynamicQuantizeLinear":
            renamed.update(zip(node.output, (whole, scale, zero), strict=True))
            return nodes
        weight, step, *rest = node.input[1:]
        inputs = [whole, weight, scale, step, zero, *rest]
        product = helper.make_node(
            "MatMulIntegerToFloat", inputs, list(node.output), domain=MICROSOFT
        )
        return [*nodes, product]

    editor.rewrite(change)


def _sample(tokens: np.ndarray) -> np.ndarray:
    places = np.linspace(0, len(tokens) - 1, min(_TOKENS, len(tokens)))
    return tokens[places.astype(np.int64)]
