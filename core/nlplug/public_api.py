"""The public API: what plugins and user interfaces may import from nlplug.

Everything else may change in any release. Tests hold that the plugins and the web UI of this
repository import nothing else. ``make api`` writes ``docs/api.md`` from this list and from the
docstrings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """A part of the public API.

    Attributes:
        title: Its heading in ``docs/api.md``.
        about: One sentence on who needs it.
        modules: Module → the names that may be imported from it.
    """

    title: str
    about: str
    modules: Mapping[str, tuple[str, ...]]


PUBLIC_API = (
    Area(
        "Answering with tasks",
        "For programs that use installed tasks.",
        {
            "nlplug": (
                "Bundle",
                "Display",
                "Example",
                "ModelSpec",
                "NlplugError",
                "Pipeline",
                "PluginHost",
                "Task",
                "TaskInput",
                "TaskModel",
                "TaskOptions",
                "TextInput",
                "__version__",
                "hookimpl",
                "pipeline",
            ),
            "nlplug.pipelines": ("Pipeline", "pipeline"),
            "nlplug.errors": (
                "BundleCorrupt",
                "BundleError",
                "BundleIncomplete",
                "BundleVersionError",
                "DataError",
                "DeviceError",
                "DeviceFallbackWarning",
                "ExportError",
                "GateRefused",
                "InputError",
                "MissingExtra",
                "ModelNotFound",
                "NlplugError",
                "OfflineError",
                "OptionError",
                "Overloaded",
                "PluginError",
                "RequestTimeout",
                "RequestTooLarge",
                "ServerError",
                "TrainingError",
                "Unauthorized",
                "UnknownTask",
            ),
        },
    ),
    Area(
        "Writing plugins",
        "For packages that bring tasks, models, commands or routes.",
        {
            "nlplug.hookspecs": (
                "CONTRACT_VERSION",
                "hookimpl",
                "hookspec",
                "register_commands",
                "register_models",
                "register_routes",
                "register_tasks",
            ),
            "nlplug.task": (
                "Display",
                "Example",
                "Localized",
                "Row",
                "Task",
                "TaskInput",
                "TaskModel",
                "TaskOptions",
                "TextInput",
                "localize",
            ),
            "nlplug.models.spec": ("ModelSpec",),
            "nlplug.models.bundle": ("Bundle",),
            "nlplug.runtime.tokenizer": ("PairFrame", "Tokenizer", "load_tokenizer"),
            "nlplug.runtime.decoding.options": ("DecodingOptions",),
            "nlplug.extras": ("require",),
        },
    ),
    Area(
        "Families",
        "For tasks that share the inputs, the inference and the training of other tasks.",
        {
            "nlplug.families.sequence_classification": (
                "LabelScore",
                "SequenceClassificationInput",
                "SequenceClassificationModel",
                "SequenceClassificationOptions",
                "SequenceClassificationTask",
            ),
            "nlplug.families.token_classification": (
                "TokenClassificationModel",
                "TokenClassificationOptions",
                "TokenClassificationTask",
                "WordLabel",
            ),
            "nlplug.families.tagged_text": ("Tags",),
            "nlplug.families.characters": ("widen",),
            "nlplug.families.seq2seq": (
                "Again",
                "Part",
                "Segment",
                "Seq2SeqModel",
                "Seq2SeqOptions",
                "Seq2SeqTask",
                "Written",
            ),
            "nlplug.families.causal_lm": ("CausalTask",),
            "nlplug.evaluation.base": ("Table",),
            "nlplug.evaluation.classification": ("ClassificationEvaluation",),
        },
    ),
    Area(
        "Testing plugins",
        "For tests that need a real model with answers that can be worked out by hand.",
        {
            "nlplug.testing": (
                "SPECIAL_TOKENS",
                "tiny_question_answerer",
                "tiny_text_classifier",
                "tiny_text_generator",
                "tiny_token_classifier",
                "tiny_translator",
            ),
        },
    ),
    Area(
        "User interfaces and servers",
        "For packages that show tasks to people, such as nlplug-webui.",
        {
            "nlplug.plugins": ("Plugin", "PluginHost", "PluginRecord", "SERVER_PLUGIN_TIMEOUT"),
            "nlplug.models.resolve": ("resolve",),
            "nlplug.runtime.runner": ("TextPiece",),
            "nlplug.validation": ("make_input",),
            "nlplug.data.readers": ("DataRow", "read_rows"),
            "nlplug.data.writers": ("open_writer",),
            "nlplug.results": ("answer_columns", "to_rows"),
            "nlplug.server.app": ("create_app",),
            "nlplug.server.listening": ("is_loopback", "listen", "url_of"),
        },
    ),
)
