"""The contract: the checks that every task and every model record of a plugin passes.

A plugin's objects are not trusted to have any attribute, so they are read with ``getattr`` here and
nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlplug.families.family import Family
from nlplug.models.spec import ModelSpec
from nlplug.plugins.failures import Broken
from nlplug.task import Display, Example, Task, TaskInput, TaskOptions

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OBJECT = re.compile(r"\A[A-Za-z_][\w.]*:[A-Za-z_]\w*")
RESERVED_OPTIONS = frozenset(
    {"device", "host", "model", "precision", "revision", "task", "threads"}
)
"""The arguments of ``nlplug.pipeline``, which no option of a task may have as its name."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What is checked.
        ok: Whether the check passed.
        detail: What was found.
        hint: What to do, if the check failed.
    """

    name: str
    ok: bool
    detail: str = ""
    hint: str = ""


def check_task(task: Any) -> Iterator[Check]:
    """Every check of one item that ``register_tasks`` returned."""
    if not isinstance(task, Task):
        yield _bad_item(task, Task, "task", "register_tasks")
        return
    kind = type(task).__name__
    for name, look in _TASK_CHECKS:
        try:
            detail = look(task)
        except Broken as broken:
            yield Check(f"{kind}.{name}", False, broken.cause, broken.hint)
        except Exception as error:
            yield Check(
                f"{kind}.{name}",
                False,
                f"{type(error).__name__}: {error}",
                f"See the attribute {name!r} of nlplug.Task.",
            )
        else:
            yield Check(f"{kind}.{name}", True, detail)


def check_model(spec: Any) -> Iterator[Check]:
    """The check of one item that ``register_models`` returned, without opening the model."""
    if not isinstance(spec, ModelSpec):
        yield _bad_item(spec, ModelSpec, "model", "register_models")
        return
    label = f"model {spec.name!r}"
    if not (isinstance(spec.name, str) and spec.name and "/" not in spec.name):
        yield Check(
            label,
            False,
            f"its name is {spec.name!r}",
            "Use a short name without '/'.",
        )
    elif not (isinstance(spec.task, str) and spec.task):
        yield Check(label, False, f"its task is {spec.task!r}", "Name the task that it serves.")
    elif (spec.path is None) == (spec.hub_id is None):
        yield Check(
            label,
            False,
            f"path is {spec.path!r} and hub_id is {spec.hub_id!r}",
            "Give one of them: path for an embedded bundle, hub_id for one to fetch.",
        )
    elif spec.path is not None and not isinstance(spec.path, Path):
        yield Check(label, False, f"path is {spec.path!r}", "Give a pathlib.Path.")
    else:
        yield Check(label, True, str(spec.path or spec.hub_id))


def first_failure(checks: Iterator[Check]) -> None:
    """Raise ``Broken`` for the first check that failed.

    Raises:
        Broken: A check failed.
    """
    for check in checks:
        if not check.ok:
            raise Broken(f"{check.name}: {check.detail}", check.hint)


def _bad_item(item: Any, wanted: type, noun: str, hook: str) -> Check:
    if isinstance(item, type) and issubclass(item, wanted):
        return Check(
            f"{hook} returned",
            False,
            f"the class {item.__name__} instead of an instance",
            f"Return [{item.__name__}()], with parentheses.",
        )
    return Check(
        f"{hook} returned",
        False,
        f"{item!r} of type {type(item).__name__}, which is not a {noun}",
        f"Return a list of nlplug.{wanted.__name__} objects.",
    )


def _name(task: Task) -> str:
    name = getattr(task, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Broken(
            f"{name!r} is not a task name",
            "Use lower-case letters, digits and single hyphens, such as 'reading-level'.",
        )
    return name


def _text(attribute: str) -> Callable[[Task], str]:
    def look(task: Task) -> str:
        value = getattr(task, attribute, None)
        texts = list(value.values()) if isinstance(value, Mapping) else [value]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise Broken(
                f"{value!r} is not a text",
                f"Set {attribute} to a text, or to one text per language: "
                '{"en": "Sentiment", "zh": "情感分析"}.',
            )
        return str(texts[0])

    return look


def _input(task: Task) -> str:
    model = task.Input
    if not (isinstance(model, type) and issubclass(model, TaskInput)):
        raise Broken(f"{model!r} is not a subclass of nlplug.TaskInput", "Derive it from that.")
    if not model.model_fields:
        raise Broken(f"{model.__name__} has no field", "Give it at least one field.")
    model.model_json_schema()
    return ", ".join(model.model_fields)


def _options(task: Task) -> str:
    model = task.Options
    if not (isinstance(model, type) and issubclass(model, TaskOptions)):
        raise Broken(
            f"{model!r} is not a subclass of nlplug.TaskOptions", "Derive it from TaskOptions."
        )
    needed = [name for name, field in model.model_fields.items() if field.is_required()]
    if needed:
        raise Broken(f"{', '.join(needed)} has no default", "Give each option a default.")
    model()
    model.model_json_schema()
    fields = set(model.model_fields)
    if both := sorted(fields & set(task.Input.model_fields)):
        raise Broken(
            f"{', '.join(both)} is a field of Input as well",
            "Rename one of them: inputs and options share the keyword arguments of a call.",
        )
    if reserved := sorted(fields & RESERVED_OPTIONS):
        raise Broken(
            f"{', '.join(reserved)} is an argument of nlplug.pipeline", "Rename the option."
        )
    return ", ".join(model.model_fields) or "none"


def _output(task: Task) -> str:
    from pydantic import TypeAdapter

    if not hasattr(task, "Output"):
        raise Broken("it is not set", "Set Output to the type of one answer, such as list[Label].")
    TypeAdapter(task.Output).json_schema()
    return str(getattr(task.Output, "__name__", task.Output))


def _display(task: Task) -> str:
    value = getattr(task, "display", None)
    if value not in list(Display):
        raise Broken(
            f"{value!r} is no Display",
            "Use one of: " + ", ".join(f"Display.{item.name}" for item in Display) + ".",
        )
    return str(Display(value).value)


def _examples(task: Task) -> str:
    examples = task.examples
    if isinstance(examples, str) or not isinstance(examples, Sequence):
        raise Broken(f"{examples!r} is not a list of examples", "Give a list of nlplug.Example.")
    for position, example in enumerate(examples, 1):
        if not isinstance(example, Example):
            raise Broken(f"number {position} is {example!r}", "Give nlplug.Example(input={…}).")
        for model, values in ((task.Input, example.input), (task.Options, example.options)):
            try:
                model.model_validate(dict(values))
            except ValueError as error:
                problem = str(error).replace("\n", " ")
                raise Broken(
                    f"number {position} does not validate: {problem}",
                    f"Use the fields of {model.__name__}.",
                ) from None
    return f"{len(examples)} validate"


def _family(task: Task) -> str:
    family = getattr(task, "family", None)
    if not isinstance(family, Family):
        raise Broken(
            f"{family!r} is not a family",
            "Derive the task from one of nlplug.families, or set family to a Family of your own.",
        )
    for name in ("training", "settings", "scoring", "exporter", "gate_inputs", "hub_shape"):
        value = getattr(family, name)
        if value and not (isinstance(value, str) and _OBJECT.fullmatch(value)):
            raise Broken(
                f"{name} is {value!r}, which is no 'module:name'",
                "Write the name as a string, so that it is imported only when it is needed.",
            )
    return family.name


def _default_model(task: Task) -> str:
    value = task.default_model
    if value is not None and not (isinstance(value, str) and value):
        raise Broken(f"{value!r} is not a model's name", "Give the name of a ModelSpec, or None.")
    return value or "none"


def _hub_task(task: Task) -> str:
    value = getattr(task, "hub_task", None)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise Broken(
            f"{value!r} is not a task of the Hub",
            "Name the Hugging Face task with the same shapes, such as 'text-classification'.",
        )
    return value


_TASK_CHECKS: tuple[tuple[str, Callable[[Task], str]], ...] = (
    ("name", _name),
    ("title", _text("title")),
    ("description", _text("description")),
    ("hub_task", _hub_task),
    ("Input", _input),
    ("Options", _options),
    ("Output", _output),
    ("display", _display),
    ("examples", _examples),
    ("default_model", _default_model),
    ("family", _family),
)
