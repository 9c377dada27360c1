"""Calls of the pipelines of transformers 4.57, and what each does on both sides."""

from __future__ import annotations

import copy
import json
import math
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nlplug.errors import NlplugError

CHAT = [{"role": "user", "content": "What is the capital of France?"}]
CONTEXT = "My name is Wolfgang and I live in Berlin"
TEXT = "Wolfgang lives in Berlin and works for Acme"
SAME, FORM, OTHER, REFUSED, BOTH, MORE = (
    "same answer",
    "same form",
    "other form",
    "refused",
    "error in both",
    "answered; an error in transformers",
)
_TOLERANCE = 1e-3


class Numbered:
    """Items by number, to be made a ``Dataset`` of PyTorch."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> str:
        return "This is a test"


@dataclass(frozen=True)
class Call:
    """One call of a pipeline.

    Attributes:
        task: The name that is given to ``pipeline``.
        setup: The other arguments of ``pipeline``, as written.
        code: The call, as written.
    """

    task: str
    setup: str
    code: str

    def run(self, pipeline: Any) -> Any:
        """The answer, with streams read to the end.

        Args:
            pipeline: The function ``pipeline`` of a side, which brings the model.
        """
        import torch
        from transformers import BitsAndBytesConfig, GenerationConfig
        from transformers.pipelines.pt_utils import KeyDataset

        names = {
            "pipe": None,
            "torch": torch,
            **{"copy": copy, "json": json, "np": np, "pickle": pickle},
            "CHAT": CHAT,
            "CONTEXT": CONTEXT,
            "TEXT": TEXT,
            "BitsAndBytesConfig": BitsAndBytesConfig,
            "GenerationConfig": GenerationConfig,
            "Numbered": type("Numbered", (Numbered, torch.utils.data.Dataset), {}),
            "KeyDataset": KeyDataset,
            "data": [{"text": TEXT}, {"text": "This is great"}],
        }
        setup = eval(f"dict({self.setup})", names)
        names["pipe"] = pipeline(self.task, **setup)
        answer = eval(self.code, names)
        return list(answer) if isinstance(answer, Iterator) else answer


_TEXTS = ("text-classification", "sentiment-analysis")
_OLD = "return_all_scores=True"
_NER = "`ner` is also the name of nlplug's task"
DIFFERENT = {
    ("ner", "pipe(TEXT)"): _NER,
    ("ner", "pipe('Hugging Face is a French company based in New York City.')"): _NER,
    ("ner", "pipe(TEXT.split(), is_split_into_words=True)"): "`ner` is also nlplug's name",
    ("question-answering", "pipe.create_sample(question='Where?', context=CONTEXT)"): "a dict",
}
"""Calls whose answers have another form, and why."""
CALLS = [
    *(Call(task, "", "pipe('This movie is disgustingly good !')") for task in _TEXTS),
    Call("text-classification", "", "pipe(['This is great', 'This is bad'])"),
    Call("text-classification", "", "pipe({'text': 'Who won?', 'text_pair': 'We did'})"),
    Call("text-classification", "", "pipe([{'text': 'Who won?', 'text_pair': 'We did'}])"),
    Call("text-classification", "", "pipe([[['Who won?', 'We did']]])"),
    Call("text-classification", "", "pipe(TEXT, top_k=None)"),
    Call("text-classification", "", "pipe([TEXT], top_k=2)"),
    Call("text-classification", "top_k=None", "pipe(TEXT)"),
    Call("text-classification", "top_k=1", "pipe([TEXT])"),
    Call("text-classification", "", f"pipe(TEXT, {_OLD})"),
    Call("text-classification", _OLD, "pipe([TEXT, TEXT])"),
    Call("text-classification", "", "pipe(TEXT, return_all_scores=False)"),
    Call("text-classification", "", "pipe(TEXT, function_to_apply='sigmoid')"),
    Call("text-classification", "function_to_apply='none'", "pipe(TEXT)"),
    Call("text-classification", "", "pipe(TEXT, truncation=True, max_length=6, padding=True)"),
    Call("text-classification", "", "pipe(TEXT, max_length=6)"),
    Call("text-classification", "", "pipe(TEXT, batch_size=2, num_workers=0)"),
    Call("text-classification", "", "pipe(KeyDataset(data, 'text'), batch_size=2)"),
    Call("text-classification", "", "pipe(row['text'] for row in data)"),
    Call("text-classification", "", "pipe([])"),
    Call("text-classification", "", "pipe(inputs=TEXT)"),
    Call("text-classification", "", "pipe.predict([TEXT])"),
    Call("text-classification", "", "pipe.transform([TEXT])"),
    Call("text-classification", "device=-1", "pipe(TEXT)"),
    Call("text-classification", "device=torch.device('cpu')", "pipe(TEXT)"),
    Call("text-classification", "device_map='cpu'", "pipe(TEXT)"),
    Call("text-classification", "torch_dtype=torch.float32", "pipe(TEXT)"),
    Call("text-classification", "dtype='float32'", "pipe(TEXT)"),
    # Here it runs in int8, whose scores differ from run to run: tokenizers are not trained alike.
    Call("text-classification", "dtype=torch.float16", "sorted(pipe(TEXT)[0])"),
    Call("text-classification", "framework='pt'", "pipe(TEXT)"),
    Call("text-classification", "use_fast=True, trust_remote_code=False", "pipe(TEXT)"),
    Call("text-classification", "model_kwargs={'attn_implementation': 'eager'}", "pipe(TEXT)"),
    Call("text-classification", "batch_size=8", "pipe([TEXT, TEXT])"),
    Call("text-classification", "", "pipe.task"),
    Call("text-classification", "", "pipe.model.config.id2label"),
    Call("text-classification", "", "pipe.model.config.label2id"),
    Call("text-classification", "", "pipe.model.config.num_labels"),
    Call("text-classification", "", "pipe.device.type"),
    Call("text-classification", "", "pipe.device == torch.device('cpu')"),
    Call("text-classification", "batch_size=2", "pipe._batch_size"),
    Call("text-classification", "binary_output=True", "pipe(TEXT)"),
    Call("text-classification", "", "pipe.tokenizer.model_max_length"),
    Call("text-classification", "", "pipe.tokenizer.encode(TEXT)"),
    Call("text-classification", "", "pipe.tokenizer.tokenize(TEXT)"),
    Call("text-classification", "", "pipe.tokenizer.decode(7)"),
    Call("text-classification", "", "pipe.tokenizer(TEXT, return_token_type_ids=False).input_ids"),
    Call("text-classification", "", "dict(pipe.tokenizer([TEXT, 'a'], padding=True))"),
    Call("text-classification", "", "pipe.tokenizer.pad_token_id"),
    Call("text-classification", "", "pipe.preprocess(TEXT)"),
    Call("text-classification", "", "pipe(3)"),
    Call(
        "text-classification",
        "",
        "pipe({'text': TEXT, 'text_pair': TEXT * 9}, truncation=True, max_length=20)",
    ),
    Call("text-classification", "device_map={'': 'cpu'}", "pipe(TEXT)"),
    Call(
        "text-classification",
        "model_kwargs={'cache_dir': 'models', 'local_files_only': True}",
        "pipe(TEXT)",
    ),
    Call("text-classification", "", "pipe.tokenizer([(TEXT, 'a')]).input_ids"),
    Call("text-classification", "", "pipe.tokenizer.batch_decode([[5, 6], [7]])"),
    Call("text-classification", "", "pipe.tokenizer.special_tokens_map"),
    Call("token-classification", "", "pipe(TEXT)"),
    Call("token-classification", "", "pipe([TEXT, TEXT])"),
    Call("token-classification", "", "pipe('')"),
    Call("ner", "", "pipe(TEXT)"),
    Call("ner", "aggregation_strategy='simple'", "pipe(TEXT)"),
    Call("ner", "grouped_entities=True", "pipe(TEXT)"),
    Call("ner", "", "pipe(TEXT, aggregation_strategy='first')"),
    Call("ner", "", "pipe(TEXT, aggregation_strategy='max')"),
    Call("ner", "", "pipe(TEXT, aggregation_strategy='average')"),
    Call("ner", "ignore_labels=[]", "pipe(TEXT)"),
    Call("ner", "aggregation_strategy='simple', stride=8", "pipe(TEXT)"),
    Call("ner", "", "pipe(TEXT.split(), is_split_into_words=True)"),
    Call("question-answering", "", "pipe(question='Where do I live?', context=CONTEXT)"),
    Call("question-answering", "", "pipe({'question': 'Where?', 'context': CONTEXT})"),
    Call("question-answering", "", "pipe([{'question': 'Where?', 'context': CONTEXT}])"),
    Call("question-answering", "", "pipe([{'question': 'Where?', 'context': CONTEXT}] * 2)"),
    Call("question-answering", "", "pipe(question=['Where?', 'Who?'], context=CONTEXT)"),
    Call("question-answering", "", "pipe(question=['Where?'], context=CONTEXT)"),
    Call("question-answering", "", "pipe(question='Where?', context=CONTEXT, top_k=3)"),
    Call("question-answering", "", "pipe(question='Where?', context=CONTEXT, topk=2)"),
    Call(
        "question-answering",
        "",
        "pipe(question='Where?', context=CONTEXT, handle_impossible_answer=True)",
    ),
    Call(
        "question-answering",
        "",
        "pipe(question='Where?', context=CONTEXT, doc_stride=8, max_seq_len=32, max_answer_len=5)",
    ),
    Call("question-answering", "", "pipe('Where?', CONTEXT)"),
    Call("question-answering", "", "pipe(question='', context=CONTEXT)"),
    Call("question-answering", "", "pipe(question='Where?', context=CONTEXT, top_k=None)"),
    Call(
        "question-answering",
        "",
        "pipe(question=['Where?', 'Who?'], context=['  ', CONTEXT], max_answer_len=None)",
    ),
    Call("question-answering", "", "pipe.create_sample(question='Where?', context=CONTEXT)"),
    Call(
        "token-classification",
        "",
        "[(t['start'], t['end']) for t in pipe(TEXT.split(), is_split_into_words=True, "
        "delimiter='--')[0]]",
    ),
    Call("fill-mask", "", "pipe('This is a simple [MASK].')"),
    Call("fill-mask", "", "pipe(['This is a simple [MASK].'])"),
    Call("fill-mask", "", "pipe(['A [MASK].', 'The [MASK].'])"),
    Call("fill-mask", "", "pipe('This [MASK] a [MASK].')"),
    Call("fill-mask", "top_k=2", "pipe('This is a simple [MASK].')"),
    Call("fill-mask", "", "pipe('This is a [MASK].', targets=['in', 'of'])"),
    Call("fill-mask", "", "pipe('A [MASK].', tokenizer_kwargs={'truncation': True})"),
    Call("fill-mask", "", "pipe('No mask here')"),
    Call("fill-mask", "", "pipe('A [MASK].', tokenizer_kwargs={'add_special_tokens': True})"),
    Call("zero-shot-classification", "", "pipe(TEXT, candidate_labels=['urgent', 'phone'])"),
    Call("zero-shot-classification", "", "pipe(TEXT, candidate_labels='urgent, phone')"),
    Call("zero-shot-classification", "", "pipe(TEXT, ['urgent', 'phone'], multi_label=True)"),
    Call("zero-shot-classification", "", "pipe([TEXT], ['urgent', 'phone'])"),
    Call(
        "zero-shot-classification",
        "",
        "pipe(sequences=TEXT, candidate_labels=['a', 'b'], hypothesis_template='It is {}.')",
    ),
    Call("zero-shot-classification", "candidate_labels=['a', 'b']", "pipe(TEXT)"),
    Call("zero-shot-classification", "", "pipe(TEXT)"),
    Call("summarization", "", "pipe(TEXT, min_new_tokens=2, max_new_tokens=8)"),
    Call("summarization", "max_new_tokens=6", "pipe([TEXT, 'An apple a day'])"),
    Call("summarization", "max_new_tokens=6", "pipe(row['text'] for row in data)"),
    Call("text2text-generation", "max_new_tokens=6", "pipe('question: What is 42 ?')"),
    Call("text2text-generation", "", "pipe(TEXT, num_return_sequences=2, max_new_tokens=5)"),
    Call("text2text-generation", "", "pipe(TEXT, do_sample=False, num_beams=1, max_new_tokens=5)"),
    Call("text2text-generation", "max_new_tokens=5", "pipe(TEXT, return_tensors=True)"),
    Call(
        "summarization",
        "max_new_tokens=5, num_return_sequences=2",
        "pipe([TEXT, 'a'], return_tensors=True)",
    ),
    Call("summarization", "max_new_tokens=5", "pipe(TEXT, max_time=60.0, num_beam_groups=1)"),
    Call(
        "summarization",
        "max_new_tokens=5",
        "pipe(TEXT, decoder_start_token_id=5, return_tensors=True)",
    ),
    Call("translation_en_to_fr", "max_new_tokens=6", "pipe('How old are you?')"),
    Call("translation", "max_new_tokens=6", "pipe(['How old are you?', 'Fine'])"),
    Call("translation_xx_to_yy", "max_new_tokens=6", "pipe(text for text in ['Fine', 'Good'])"),
    Call("text-generation", "max_new_tokens=5", "pipe('I can not', do_sample=False)"),
    Call("text-generation", "", "pipe(['I', 'We'], do_sample=False, max_new_tokens=5)"),
    Call("text-generation", "", "pipe('My tart', num_return_sequences=4, max_new_tokens=4)"),
    Call(
        "text-generation",
        "",
        "pipe('My tart', return_full_text=False, do_sample=False, max_new_tokens=4)",
    ),
    Call("text-generation", "", "pipe('My', max_new_tokens=4, temperature=0.0, do_sample=False)"),
    Call("text-generation", "", "pipe('My', max_new_tokens=4, pad_token_id=0, do_sample=False)"),
    Call("text-generation", "max_new_tokens=4", "pipe(KeyDataset(data, 'text'), do_sample=False)"),
    Call("text-generation", "max_new_tokens=4, do_sample=False", "pipe(CHAT)"),
    Call("text-generation", "", "pipe('My', max_new_tokens=4, stop_sequence='zz', num_beams=1)"),
    Call("text-generation", "", "pipe('My', max_new_tokens=4, num_beam_groups=2)"),
    Call("text-generation", "", "pipe('My', max_new_tokens=4, prefix='We. ', do_sample=False)"),
    Call("text-generation", "do_sample=False", "pipe('My', max_new_tokens=9, eos_token_id=[5, 9])"),
    Call("text-generation", "do_sample=False", "pipe('My', max_new_tokens=9, suppress_tokens=[5])"),
    Call(
        "text-generation",
        "do_sample=False",
        "pipe('My', max_new_tokens=9, stop_strings='a', tokenizer=pipe.tokenizer)",
    ),
    Call(
        "text-generation",
        "do_sample=False",
        "pipe('My', max_new_tokens=9, skip_special_tokens=False)",
    ),
    Call(
        "text-generation",
        "max_new_tokens=4, do_sample=False",
        "pipe(['My', 'We'], return_tensors=True)",
    ),
    Call("text-generation", "do_sample=False", "pipe('My', max_length=12, max_time=60.0)"),
    Call("text-generation", "max_length=12", "pipe('My', max_new_tokens=3, do_sample=False)"),
    Call(
        "text-generation",
        "max_new_tokens=4, do_sample=False",
        "pipe(TEXT, tokenizer_encode_kwargs={'truncation': True, 'max_length': 4})",
    ),
    Call("text-generation", "max_new_tokens=4", "pipe(TEXT, top_k=1, temperature=50.0)"),
    Call(
        "text-generation",
        "max_new_tokens=4, do_sample=False",
        "pipe('My', guidance_scale=1.0, penalty_alpha=0.0, output_attentions=False)",
    ),
    Call(
        "text-generation",
        "",
        "pipe('My', generation_config=GenerationConfig(max_new_tokens=3, num_beams=2))",
    ),
    Call("text-generation", "", "pipe('My', streamer=1)"),
    Call("text-generation", "", "pipe.tokenizer.apply_chat_template(CHAT)"),
    Call(
        "text-generation",
        "max_new_tokens=4, do_sample=False",
        "pipe(pipe.tokenizer.apply_chat_template(CHAT, tokenize=False, "
        "add_generation_prompt=True))",
    ),
    Call(
        "text-generation",
        "max_new_tokens=4, do_sample=False",
        "pipe('My', return_full_text=None, min_new_tokens=None, stop_sequence=None)",
    ),
]


def verdict(call: Call, ours: Any, theirs: Any) -> tuple[str, str]:
    """What our side does beside transformers, and our warning or hint.

    Raises:
        AssertionError: Our side raises another error than an `NlplugError`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other: Any = call.run(theirs)
        failed = False
    except Exception:
        failed = True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            own = call.run(ours)
        except NlplugError as error:
            return (BOTH if failed else REFUSED), f"{error.message} {error.hint or ''}".strip()
    said = [str(one.message) for one in caught if one.category in (UserWarning, FutureWarning)]
    note = f"warning: {said[0]}" if said else ""
    if failed:
        return MORE, note
    if alike(own, other):
        return SAME, note
    if form(own) == form(other):
        return FORM, note
    return OTHER, DIFFERENT.get((call.task, call.code), note)


def alike(own: Any, other: Any) -> bool:
    """Whether two answers are equal, with scores within the tolerance."""
    if isinstance(other, Mapping):
        same = isinstance(own, Mapping) and own.keys() == other.keys()
        return same and all(alike(own[key], other[key]) for key in other)
    if isinstance(other, list | tuple):
        return (
            isinstance(own, list | tuple)
            and len(own) == len(other)
            and all(alike(one, two) for one, two in zip(own, other, strict=True))
        )
    if isinstance(own, np.ndarray):  # where transformers has a tensor
        return alike(own.tolist(), other.tolist())
    if isinstance(other, float | np.floating):
        return math.isclose(own, float(other), abs_tol=_TOLERANCE)
    return bool(own == other)


def form(value: Any) -> Any:
    """The types and keys of an answer; of a list of any length those of its first item."""
    if isinstance(value, Mapping):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [form(item) for item in value[:1]]
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, int | np.integer):
        return "int"
    return "float" if isinstance(value, float | np.floating) else type(value).__name__


def table(rows: list[tuple[str, Call, str, str]]) -> str:
    """The rows as Markdown.

    Args:
        rows: Where the call is documented, the call, what it does here, and a note.
    """
    shown = any(where for where, *_ in rows)
    heads = [*(["documented in"] if shown else []), "task", "`pipeline(…)`", "call", "here", "note"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for where, call, found, note in rows:
        setup = f"`{call.setup}`" if call.setup else ""
        cells = (
            f"`{call.task}`",
            setup,
            f"`{call.code}`",
            found,
            " ".join(note.split()).replace("|", "\\|"),
        )
        cells = (f"`{where}`", *cells) if shown else cells
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
