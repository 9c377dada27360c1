"""Converts the declared fields of a task to the controls of a form.

The controls are made from the JSON schema, so every type that pydantic supports (``Literal``,
``Enum``, ``Annotated`` bounds, optional fields, defaults) is handled in the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any

from pydantic import BaseModel

from nlplug.errors import InputError, OptionError
from nlplug.json_text import json_fault, parse_json
from nlplug.task import Display, Localized, Task, localize
from nlplug_webui.texts import LANGUAGES, say

UNSET = ""
"""The value of the choice for None; the choices of Gradio are strings here."""
_DEFAULT_TOP_K = 5


class Kind(StrEnum):
    """The kind of a control."""

    CHOICE = "choice"
    SWITCH = "switch"
    SLIDER = "slider"
    NUMBER = "number"
    TEXT = "text"
    LIST = "list"
    JSON = "json"


@dataclass(frozen=True)
class Control:
    """One field of a form.

    Attributes:
        name: Name of the field.
        kind: Kind of the control.
        initial: First value in the form, as Python value.
        default: The declared default; ``...`` if the field is required.
        optional: Whether None is allowed.
        whole: For numbers, whether only integers are allowed.
        low, high: Bounds, inclusive; None: no bound.
        step: Step of a slider.
        choices: Allowed values of a choice, without None.
        of_model: Whether the model suggests values; other values are allowed too.
        advanced: Whether the control is in the folded part of the form.
        lines: Height of a text box, in lines.
        title, help: Texts by language.
        choice_titles: By language: titles of choices by value.
    """

    name: str
    kind: Kind
    initial: Any = None
    default: Any = None
    optional: bool = False
    whole: bool = False
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: Sequence[Any] = ()
    of_model: bool = False
    advanced: bool = False
    lines: int = 1
    title: Mapping[str, str] = field(default_factory=dict)
    help: Mapping[str, str] = field(default_factory=dict)
    choice_titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def named_choices(self, language: str) -> list[tuple[str, str]]:
        """The choices as (text, key) in ``language``."""
        titles = self.choice_titles.get(language, {})
        if self.choices == (True, False):
            named = [(say("yes", language), "true"), (say("no", language), "false")]
        else:
            named = [(titles.get(str(value), str(value)), str(value)) for value in self.choices]
        return [(say("default", language), UNSET), *named] if self.optional else named

    def offered(self, values: Mapping[str, Localized], language: str) -> list[tuple[str, str]]:
        """The values that a model suggests, as (text, value) in ``language``."""
        named = [
            (title if (title := localize(text, language)) == value else f"{title} ({value})", value)
            for value, text in values.items()
        ]
        return [(say("default", language), UNSET), *named] if self.optional else named

    def to_form(self, value: Any) -> Any:
        """Convert a Python value to the value of the component."""
        if isinstance(value, Enum):
            value = value.value
        if self.kind is Kind.CHOICE:
            if value is None:
                return UNSET if self.optional else None
            return str(value).lower() if isinstance(value, bool) else str(value)
        if self.kind is Kind.LIST:
            return _lines(value or ())
        if self.kind is Kind.JSON:
            return "" if value is None else json.dumps(value, ensure_ascii=False)
        if self.kind is Kind.TEXT:
            return "" if value is None or value is ... else str(value)
        return None if value is ... else value

    def from_form(self, value: Any) -> Any:
        """Convert the value of the component to a Python value.

        Raises:
            InputError: The text is not valid JSON.
        """
        if self.kind is Kind.CHOICE:
            if value in (None, UNSET):
                return None
            keyed = {"true": True, "false": False} if self.choices == (True, False) else {}
            keyed |= {str(choice): choice for choice in self.choices}
            return keyed.get(value, value)
        if self.kind in (Kind.NUMBER, Kind.SLIDER):
            return None if value is None else int(value) if self.whole and value % 1 == 0 else value
        if self.kind is Kind.SWITCH:
            return bool(value)
        text = "" if value is None else str(value)
        if self.kind is Kind.LIST:
            if text.lstrip().startswith("["):  # for elements that contain commas or line ends
                return self._parse(text)
            parts = [part.strip() for part in re.split(r"[\n,，、]", text)]
            found = [part for part in parts if part]
            return None if self.optional and not found else found
        if self.kind is Kind.JSON:
            return self._parse(text)
        return None if self.optional and not text else text

    def _parse(self, text: str) -> Any:
        if not text.strip():
            return None
        try:
            return parse_json(text, unique_keys=True)
        except json.JSONDecodeError as error:
            raise InputError(
                f"The field {self.name!r} is not JSON ({json_fault(error)}).",
                hint='Write a list like ["a", "b"] or an object like {"a": 1}.',
            ) from None


def _lines(values: Sequence[Any]) -> str:
    """A list as lines, or as JSON if `Control.from_form` would read lines differently."""
    texts = [str(value) for value in values]
    plain = all(
        text == text.strip() != "" and not re.search(r"[\n,，、]|^\[", text) for text in texts
    )
    return "\n".join(texts) if plain else json.dumps(texts, ensure_ascii=False)


def input_controls(task: Task) -> list[Control]:
    """The controls of a task's input."""
    controls = _controls(task.Input)
    plain = [c for c in controls if c.kind is Kind.TEXT and not c.advanced]
    long = [c.name for c in plain if c.default is ... and not is_short(c.name)]
    tall = {long[0]: 5} if len(plain) == 1 and long else {}
    # A form with a question also has the document that the question is about.
    tall |= {name: 7 for name in long if len(long) < len(plain)}
    return [
        replace(control, lines=control.lines if control.lines > 1 else tall.get(control.name, 3))
        if control.kind is Kind.TEXT and not is_short(control.name)
        else control
        for control in controls
    ]


def is_short(name: str) -> bool:
    """Whether a field with this name takes one line instead of a document."""
    return re.search("question|query|label", name) is not None


def option_controls(task: Task) -> list[Control]:
    """The controls of a task's options.

    If the default of a classification task is one label (``top_k`` 1, as in the pipelines of
    Hugging Face), the form starts with several labels, so that the page shows several bars.
    """
    controls = _controls(task.Options)
    if task.display is not Display.LABEL:
        return controls
    return [
        replace(control, initial=min(_DEFAULT_TOP_K, int(control.high or _DEFAULT_TOP_K)))
        if control.name == "top_k" and control.default == 1 and control.initial == 1
        else control
        for control in controls
    ]


def for_model(controls: Sequence[Control], options: Mapping[str, Any]) -> list[Control]:
    """The controls of options, with the defaults of a model.

    Args:
        controls: The result of `option_controls`.
        options: ``Bundle.options``; names that the task does not have are ignored.
    """
    return [
        replace(control, initial=options[control.name], default=options[control.name])
        if control.name in options
        else control
        for control in controls
    ]


def input_values(controls: Sequence[Control], values: Sequence[Any]) -> dict[str, Any]:
    """The input in a form, without optional fields that are empty.

    Raises:
        InputError: A field cannot be read.
        OptionError: There are more or fewer values than fields.
    """
    if len(values) != len(controls):
        raise OptionError(
            f"'values' has {len(values)} elements.",
            hint=f"Give one for each of {', '.join(control.name for control in controls)}.",
        )
    read = {c.name: c.from_form(value) for c, value in zip(controls, values, strict=True)}
    return {
        control.name: read[control.name]
        for control in controls
        if control.default is ... or read[control.name] != control.default
    }


def option_values(controls: Sequence[Control], values: Sequence[Any]) -> dict[str, Any]:
    """The options of a form that differ from the declared defaults.

    Raises:
        OptionError: A field cannot be read, or a required one is empty.
    """
    given: dict[str, Any] = {}
    for control, value in zip(controls, values, strict=True):
        try:
            read = control.from_form(value)
        except InputError as error:
            raise OptionError(error.message, hint=error.hint) from None
        if read is None and not control.optional and control.default is not None:
            if control.default is ...:
                raise OptionError(f"The option {control.name!r} is empty.", hint="Enter a value.")
            continue  # an emptied number box means the default
        default = control.default
        if read != (default.value if isinstance(default, Enum) else default):
            given[control.name] = read
    return given


def _controls(model: type[BaseModel]) -> list[Control]:
    schema = model.model_json_schema()
    named = schema.get("properties", {})
    return [
        _control(name, named[info.alias or name], schema.get("$defs", {}), _default(info))
        for name, info in model.model_fields.items()
        if (info.alias or name) in named
    ]


def _default(info: Any) -> Any:
    return ... if info.is_required() else info.get_default(call_default_factory=True)


def _control(
    name: str, schema: Mapping[str, Any], definitions: Mapping[str, Any], default: Any
) -> Control:
    shape, optional = _resolve(schema, definitions)
    extra = {key: schema[key] for key in ("zh", "advanced", "lines", "initial") if key in schema}
    low, high, whole = _bounds(shape)
    kind = _kind(shape, low, high, optional)
    choices: tuple[Any, ...] = ()
    if kind is Kind.CHOICE:
        choices = (True, False) if shape.get("type") == "boolean" else tuple(_enum(shape))
    zh = extra.get("zh", {})
    spoken = name.replace("_", " ")
    title = str(schema.get("title") or spoken.title())
    if title == spoken.title():  # made by pydantic from the name: Every Word With A Capital
        title = spoken.capitalize()
    notes = {language: _note(kind, low, high, language) for language in LANGUAGES}
    described = str(schema.get("description") or "")
    helps = {"en": described, "zh": str(zh.get("description") or described)}
    return Control(
        name=name,
        kind=kind,
        initial=extra.get("initial", default),
        default=default,
        optional=optional,
        whole=whole,
        low=low,
        high=high,
        step=_step(shape, low, high, whole) if kind is Kind.SLIDER else None,
        choices=choices,
        of_model=kind is Kind.TEXT and bool(schema.get("of_model")),
        advanced=bool(extra.get("advanced")),
        lines=int(extra.get("lines", 3 if kind in (Kind.LIST, Kind.JSON) else 1)),
        title={"en": title, "zh": str(zh.get("title") or title)},
        help={language: _sentences(text, notes[language]) for language, text in helps.items()},
        choice_titles={"zh": zh.get("choices", {})},
    )


def _resolve(
    schema: Mapping[str, Any], definitions: Mapping[str, Any]
) -> tuple[Mapping[str, Any], bool]:
    """The schema with references resolved, and whether null is allowed too."""
    if "$ref" in schema:
        return _resolve(definitions[str(schema["$ref"]).rsplit("/", 1)[-1]], definitions)
    forms = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if not forms:
        return schema, False
    real = [form for form in forms if form.get("type") != "null"]
    optional = len(real) < len(forms)
    if len(real) != 1:
        kinds = [_resolve(form, definitions)[0] for form in real]
        # If there are several types, a form offers the text.
        return next((k for k in kinds if k.get("type") == "string"), {}), optional
    shape, nested = _resolve(real[0], definitions)
    return shape, optional or nested


def _kind(shape: Mapping[str, Any], low: float | None, high: float | None, optional: bool) -> Kind:
    if _enum(shape):
        return Kind.CHOICE
    match shape.get("type"):
        case "boolean":
            return Kind.CHOICE if optional else Kind.SWITCH
        case "integer" | "number":
            bounded = low is not None and high is not None and not optional
            return Kind.SLIDER if bounded else Kind.NUMBER
        case "string":
            return Kind.TEXT
        case "array" if shape.get("items", {}).get("type") == "string":
            return Kind.LIST
    return Kind.JSON


def _enum(shape: Mapping[str, Any]) -> list[Any]:
    return list(shape["enum"]) if "enum" in shape else [shape["const"]] if "const" in shape else []


def _bounds(shape: Mapping[str, Any]) -> tuple[float | None, float | None, bool]:
    whole = shape.get("type") == "integer"
    # The mark "slider" is the end of a slider, where larger values are valid too.
    low, high = shape.get("minimum"), shape.get("slider", shape.get("maximum"))
    # An exclusive bound becomes an inclusive one, one step inside.
    gap = 1 if whole else 0.01
    if low is None and "exclusiveMinimum" in shape:
        low = shape["exclusiveMinimum"] + gap
    if high is None and "exclusiveMaximum" in shape:
        high = shape["exclusiveMaximum"] - gap
    return low, high, whole


def _step(shape: Mapping[str, Any], low: float | None, high: float | None, whole: bool) -> float:
    if "multipleOf" in shape:
        return float(shape["multipleOf"])
    if whole or low is None or high is None:
        return 1
    return 0.01 if high - low <= 10 else 0.1


def _sentences(text: str, note: str) -> str:
    """Both in one paragraph: the full stop of Chinese has a space of its own."""
    gap = "" if not text or not note or text.endswith("。") else " "
    return text + gap + note


def _note(kind: Kind, low: float | None, high: float | None, language: str) -> str:
    if kind is Kind.LIST:
        return say("list_info", language)
    if kind is Kind.JSON:
        return say("json_info", language)
    if kind is not Kind.NUMBER:
        return ""
    if low is not None and high is not None:
        return say("range", language, low=low, high=high)
    if low is not None:
        return say("at_least", language, low=low)
    return say("at_most", language, high=high) if high is not None else ""
