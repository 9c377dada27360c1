"""The Jinja environment of chat templates: sandboxed, and bounded in size and time.

A template comes with a model, so it may be hostile. Jinja's sandbox keeps it from the interpreter's
objects; it does not limit what it computes. Here every value that a template makes has at most
`MAX_SIZE` characters and elements, checked before it is made where an operation can multiply sizes.
Loops and macros count their steps and check the time. Import this module only where Jinja is
installed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import wraps
from itertools import islice
from time import monotonic
from types import BuiltinMethodType
from typing import Any

from jinja2 import Environment, Template, TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import EvalContext
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

MAX_SIZE = 1_000_000
"""Maximum number of characters and elements of one value, and of a prompt."""
MAX_STEPS = 5_000_000
"""Maximum number of steps of one rendering: nodes in loops and macros, and 32 characters each."""
MAX_SECONDS = 3.0
"""Maximum duration of one rendering."""

_MAX_SOURCE = 500_000
_MAX_NUMBER = 100_000
_MAX_BITS = 4096
_MAX_INDENT = 100
_CHARACTERS = 32
_WIDE = re.compile(r"\d{5,}|\*")
# Their cost has no simple bound, and chat templates do not use them.
_REMOVED_FILTERS = ("pprint", "striptags", "urlize", "wordwrap", "xmlattr")
_REMOVED_METHODS = frozenset({"encode", "translate", "maketrans", "format_map"})
# With a space, so that no template can name them.
_CHARGE, _CHECK, _CONCAT = "nlplug charge", "nlplug check", "nlplug concat"


class TemplateLimitError(SecurityError):
    """A template exceeds a limit."""


class _Budget:
    def __init__(self) -> None:
        self._steps = 0
        self._deadline = monotonic() + MAX_SECONDS

    def charge(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise TemplateLimitError(f"it takes more than {MAX_STEPS} steps")
        if monotonic() > self._deadline:
            raise TemplateLimitError(f"it takes more than {MAX_SECONDS:g} seconds")


_BUDGET: ContextVar[_Budget | None] = ContextVar("_BUDGET", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """Limit the steps and the time of rendering inside of the block, in this thread."""
    token = _BUDGET.set(_Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def compile_template(source: str) -> Template:
    """Compile a chat template; it has the helpers that transformers gives to templates.

    Raises:
        TemplateError: The source is not a template, or too long.
    """
    if len(source) > _MAX_SOURCE:
        raise TemplateLimitError(f"it has {len(source)} characters, more than {_MAX_SOURCE}")
    environment = _ChatEnvironment()
    try:
        tree = _Bounds().visit(environment.parse(source))
        code = environment.compile(tree, filename="chat_template")
    except RecursionError as error:
        raise TemplateLimitError("its expressions are nested too deeply") from error
    except SyntaxError as error:  # jinja2 does not look where break and continue stand
        raise TemplateSyntaxError(str(error.msg), error.lineno or 1) from error
    return Template.from_code(environment, code, environment.make_globals(None))


class _Generation(Extension):
    """``{% generation %}`` marks the text of the assistant, which matters in training only."""

    end = "endgeneration"
    tags = {end.removeprefix("end")}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> nodes.Node:
        scope = nodes.Scope(lineno=next(parser.stream).lineno)
        scope.body = parser.parse_statements((f"name:{self.end}",), drop_needle=True)
        return scope


class _ChatEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        # Without the optimizer, which would compute constants such as 'a' * 10**9 unchecked.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            optimized=False,
            finalize=_written,
        )
        for name in _REMOVED_FILTERS:
            del self.filters[name]
        self.filters["tojson"] = _tojson
        self.filters = {name: _bounded(name, made) for name, made in self.filters.items()}
        self.filters |= {_CHARGE: _charge, _CHECK: _checked, _CONCAT: _concat}
        del self.globals["lipsum"]
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda form: datetime.now().strftime(form)

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Join the output of a block, a macro or the whole template."""
        found = list(parts)
        _check_size(sum(map(len, found)))
        return "".join(found)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """See Jinja; checks the size of the result before it is made."""
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left, left.count("%"), right)
        elif isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            _check_size(len(left) + len(right))
        return _checked(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """See Jinja; checks the arguments of ``format``."""
        function = super().wrap_str_format(value)
        if function is None:
            return None

        def run(*args: Any, **kwargs: Any) -> str:
            _check_arguments(value.__name__, (value.__self__, *args), kwargs)
            return function(*args, **kwargs)

        return run

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """See Jinja; checks the arguments of methods of strings before the call."""
        _charge(1)
        if isinstance(__obj, BuiltinMethodType):
            owner = __obj.__self__
            if isinstance(owner, int | float | type):  # such as (1).to_bytes(10**9)
                raise TemplateLimitError(f"it uses the method {__obj.__name__} of a number or type")
            if isinstance(owner, str):
                args = _check_arguments(__obj.__name__, (owner, *args), kwargs)[1:]
        return _checked(super().call(__context, __obj, *args, **kwargs))


class _Bounds(NodeTransformer):
    """Adds the checks that Jinja has no hook for."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._counted(node)

    def visit_List(self, node: nodes.List | nodes.Dict) -> nodes.Node:
        return _filtered(self.generic_visit(node), _CHECK)

    visit_Dict = visit_List

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, _CHECK) if node.ctx == "load" else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), _CONCAT)

    def _counted(self, node: nodes.For | nodes.Macro | nodes.CallBlock) -> nodes.Node:
        """Have each run of a body charged with its number of nodes."""
        size = sum(1 for part in node.body for _ in part.find_all(nodes.Node)) + 1
        self.generic_visit(node)
        charge = _filtered(nodes.Const(size, lineno=node.lineno), _CHARGE)
        node.body.insert(0, nodes.ExprStmt(charge, lineno=node.lineno))
        return node


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that checks its arguments and its result."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        _charge(1)
        given = 1 if args and isinstance(args[0], Context | Environment | EvalContext) else 0
        checked = _check_arguments(name, args[given:], kwargs)
        return _checked(function(*args[:given], *checked, **kwargs))

    return run


def _check_arguments(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """Check the arguments of a filter or of a method of a string; its value is the first.

    Returns:
        The arguments; a generator among them is now a list.
    """
    values = [*args, *kwargs.values()]
    for value in values[1:]:
        if type(value) is int and abs(value) > _MAX_NUMBER:
            raise TemplateLimitError(f"{name} has the argument {value}")
    if not args:
        return ()
    text, *rest = args
    if name in _REMOVED_METHODS:
        raise TemplateLimitError(f"it uses {name}")
    if name == "replace" and len(values) > 2:
        text, old, new = (str(value) for value in values[:3])
        _check_size(len(text) + text.count(old) * len(new))
    elif name == "join":
        # The filter has the list first, the method has the separator first.
        place = 1 if isinstance(text, str) and rest and not isinstance(rest[0], str) else 0
        items = list(islice(args[place], MAX_SIZE + 1))
        separators = [value for value in values[1 - place :] if isinstance(value, str)]
        longest = max((len(value) for value in separators), default=0)
        _check_size(_size(items) + longest * len(items))
        return (*args[:place], items, *args[place + 1 :])
    elif name == "format":
        _check_format(str(text), str(text).count("%") + str(text).count("{"), values[1:])
    elif name in ("indent", "expandtabs"):
        lines = str(text).count("\n") + str(text).count("\t") + 1
        _check_size(len(str(text)) + lines * max([8, *map(_magnitude, values[1:])]))
    elif name == "sum" and any(not isinstance(value, int | float | str) for value in values[1:]):
        raise TemplateLimitError("sum starts with something else than a number")
    elif not isinstance(text, str | Iterator | Undefined):
        _check_size(_size(text))
    return tuple(args)


def _check_product(left: Any, right: Any) -> None:
    for value, count in ((left, right), (right, left)):
        if isinstance(value, str | list | tuple) and isinstance(count, int):
            _check_size(len(value) * count)
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))


def _check_bits(bits: int) -> None:
    if bits > _MAX_BITS:
        raise TemplateLimitError(f"it computes a number of {bits} bits")


def _check_format(text: str, fields: int, values: Any) -> None:
    if _WIDE.search(text):
        raise TemplateLimitError(f"it uses the format {text[:40]!r}")
    _check_size(len(text) + fields * _magnitude(values))


def _magnitude(value: Any) -> int:
    """The size that a value may add as text, or as a width."""
    if isinstance(value, list | tuple):
        return sum(map(_magnitude, value))
    return abs(value) if isinstance(value, int) else _size(value)


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise TemplateLimitError(f"it makes a value of more than {MAX_SIZE} characters or elements")


def _checked(value: Any) -> Any:
    """The value, if its size is within the limit."""
    return _written(value) if isinstance(value, str | list | tuple | dict) else value


def _written(value: Any) -> Any:
    """The value of an output expression, if the size of its text is within the limit."""
    size = _size(value)
    _check_size(size)
    _charge(size // _CHARACTERS)
    return value


def _size(value: Any) -> int:
    """Number of characters and elements of a value; what occurs twice counts twice.

    The count ends above `MAX_SIZE`.
    """
    total, todo = 0, [value]
    while todo and total <= MAX_SIZE:
        value = todo.pop()
        if isinstance(value, str):
            total += len(value) + 1
        elif isinstance(value, Mapping):
            total += 1 + len(value)
            todo += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            total += 1 + len(value)
            todo += value
        elif isinstance(value, Namespace):
            raise TemplateLimitError("it writes a namespace as text")
        else:
            total += 1
    return total


def _charge(steps: int) -> None:
    current = _BUDGET.get()
    if current is not None:
        current.charge(steps)


def _concat(values: Sequence[Any]) -> str:
    """The operator ``~``."""
    _written(values)
    return "".join(map(str, values))


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As in transformers; the one of Jinja escapes HTML."""
    if indent is not None and _magnitude(indent) > _MAX_INDENT:
        raise TemplateLimitError(f"tojson has the indent {indent!r}")
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    if indent is None:
        return encoder.encode(value)
    parts, total = [], 0
    for part in encoder.iterencode(value):
        total += len(part)
        _check_size(total)
        parts.append(part)
    return "".join(parts)
