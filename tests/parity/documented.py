"""The calls in the documentation of the pipelines of transformers 4.57.

Those of the docstrings are read from the installed package. The pages of its documentation are not
part of the package, so their calls are listed here.
"""

from __future__ import annotations

import ast
import copy
import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

from parity.dropin import Call

CLASSES = {
    "TextClassificationPipeline": "text-classification",
    "TokenClassificationPipeline": "token-classification",
    "QuestionAnsweringPipeline": "question-answering",
    "FillMaskPipeline": "fill-mask",
    "ZeroShotClassificationPipeline": "zero-shot-classification",
    "SummarizationPipeline": "summarization",
    "Text2TextGenerationPipeline": "text2text-generation",
    "TranslationPipeline": "translation",
    "TextGenerationPipeline": "text-generation",
    "FeatureExtractionPipeline": "feature-extraction",
}
"""Classes of transformers, with the tasks that are tasks here too."""
_BLOCK = re.compile(r"```py(?:thon)?\n(.*?)```", re.DOTALL)
_MODEL = {"model", "tokenizer", "task"}
_SECRET = "pipe('the secret to baking a really good cake is ')"
_CHAT = (
    "[{'role': 'system', 'content': 'You are a robot.'}, "
    "{'role': 'user', 'content': 'Hey, can you tell me any fun things to do in New York?'}]"
)
_SHORT = "max_new_tokens=4"
_GREEDY = f"{_SHORT}, do_sample=False"
PAGES = {
    "main_classes/pipelines": [
        Call("text-classification", "", "pipe('This restaurant is awesome')"),
        Call(
            "text-classification",
            "",
            "pipe(['This restaurant is awesome', 'This restaurant is awful'])",
        ),
        Call("text-classification", "", "pipe('This is a test' for _ in range(3))"),
        Call(
            "text-classification",
            "device=0",
            "pipe(KeyDataset(data, 'text'), batch_size=8, truncation='only_first')",
        ),
        Call("text-classification", "", "pipe(Numbered(5), batch_size=64)"),
        Call("text-classification", "", "pipe.forward(pipe.preprocess('This is a test'))"),
    ],
    "pipeline_tutorial": [
        Call("text-generation", "", _SECRET),
        Call("text-generation", "", "pipe(['the secret is ', 'a baguette is '])"),
        Call("summarization", "max_new_tokens=6", "pipe('Section was formerly set out.')"),
        Call("text-generation", "device=0", _SECRET),
        Call("text-generation", "device_map='auto'", _SECRET),
        Call("text-generation", "device='mps'", _SECRET),
        Call("text-generation", "batch_size=2", "pipe(['the secret is', 'paris is the'])"),
        Call(
            "text-generation",
            "",
            "pipe('cake is', num_return_sequences=4, return_full_text=False)",
        ),
        Call("text-generation", "device=0", "pipe(f'My example {i}' for i in range(3))"),
        Call(
            "text-generation",
            "dtype=torch.bfloat16, device_map='auto', "
            "model_kwargs={'quantization_config': BitsAndBytesConfig(load_in_8bit=True)}",
            _SECRET,
        ),
    ],
    "task_summary": [
        Call("sentiment-analysis", "", "pipe('Hugging Face is the best thing!')"),
        Call("ner", "", "pipe('Hugging Face is a French company based in New York City.')"),
        Call(
            "question-answering",
            "",
            "pipe(question='What is the name of the repository?', "
            "context='The name of the repository is huggingface/transformers')",
        ),
        Call(
            "summarization",
            "max_new_tokens=6",
            "pipe('In this work, we presented a model.')",
        ),
        Call("translation", "", "pipe('translate English to French: Hello.')"),
        Call("text-generation", "", "pipe('Hugging Face is a community-based platform.')"),
        Call("fill-mask", "", "pipe('Hugging Face is a [MASK] platform.', top_k=1)"),
    ],
    "conversations": [
        Call("text-generation", "torch_dtype=torch.bfloat16, device_map='auto'", f"pipe({_CHAT})"),
    ],
}
"""Texts are shortened; everything else is as in the pages."""


def documented() -> list[tuple[str, Call]]:
    """All calls, each with the class or the page that shows it."""
    found = [*_docstrings()]
    found += [(page, call) for page, calls in PAGES.items() for call in calls]
    return [(where, _limited(call)) for where, call in found]


def _limited(call: Call) -> Call:
    """A call whose text is short and, where it asks for one only, the same at each call."""
    limit = _SHORT if "num_return_sequences" in call.code else _GREEDY
    if call.task != "text-generation":
        limit = _SHORT if call.task.startswith("translation") else ""
    return Call(call.task, ", ".join(filter(None, (call.setup, limit))), call.code)


def _docstrings() -> Iterator[tuple[str, Call]]:
    import transformers

    for name, task in CLASSES.items():
        kind = getattr(transformers, name)
        # Some of these texts stand behind attributes and so are not the docstring of the class.
        for block in _BLOCK.findall(inspect.getsource(kind)):
            yield from ((name, call) for call in _calls(dedent(block), task))


def _calls(block: str, task: str) -> Iterator[Call]:
    """The calls of pipelines in a block of code."""
    values: dict[str, ast.expr] = {}
    setups: dict[str, tuple[str, str]] = {}
    for statement in ast.parse(_code(block)).body:
        value = getattr(statement, "value", None)
        call = value if isinstance(value, ast.Call) else None
        called = call.func.id if call and isinstance(call.func, ast.Name) else ""
        names = getattr(statement, "targets", [])
        if call and called == "pipeline":
            setups[names[0].id] = _setup(call, task)
        elif call and called in setups:
            code = copy.deepcopy(call)
            code = _Inlined({**values, called: ast.Name("pipe")}).visit(code)
            yield Call(*setups[called], ast.unparse(code))
        elif value is not None and names:
            values[names[0].id] = value


def _code(block: str) -> str:
    """The code of a block, without the answers of a session."""
    if ">>>" not in block:
        return block
    lines = [line for line in block.splitlines() if line.startswith((">>>", "..."))]
    return "\n".join(line[4:] for line in lines)


def _setup(call: ast.Call, task: str) -> tuple[str, str]:
    """The name of the task, and the other arguments of ``pipeline`` but for the model."""
    given = {one.arg: one.value for one in call.keywords if one.arg}
    name = call.args[0] if call.args else given.get("task")
    settings = [f"{key}={ast.unparse(value)}" for key, value in given.items() if key not in _MODEL]
    return (name.value if isinstance(name, ast.Constant) else task), ", ".join(settings)


class _Inlined(ast.NodeTransformer):
    """Names replaced by what was assigned to them."""

    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)
