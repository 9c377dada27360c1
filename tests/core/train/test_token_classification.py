"""Training of token classifiers: labels by characters, the loss over sets that know less, and
models that answer with exact offsets, in English and in Chinese."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch.nn import functional as F

from nlplug import pipeline
from nlplug.cli.main import main
from nlplug.data import DataRow
from nlplug.errors import DataError
from nlplug.families.token_classification import TokenClassificationTask
from nlplug.families.token_classification.training import (
    TokenClassificationRecipe,
    WindowedTokens,
    marginal_loss,
    token_roles,
)
from nlplug.models.bundle import Bundle
from nlplug.testing import tiny_token_classifier
from nlplug.train.config import TrainConfig
from nlplug.train.run import fine_tune

pytestmark = pytest.mark.train

Make = Callable[..., TrainConfig]
ENTITIES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


class ToyTags(TokenClassificationTask):
    """What a plugin would register."""

    name = "toy-tags"
    title = "Toy"
    description = "Who and where?"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Sequence[str]], Path]:
    """Makes untrained BERTs whose vocabulary is a list of pieces."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    def make(name: str, pieces: Sequence[str]) -> Path:
        folder = tmp_path_factory.mktemp(name)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *dict.fromkeys(pieces)]
        (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=32)
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        shape = BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=32,
        )
        BertModel(shape).save_pretrained(folder)
        return folder

    return make


FIRST = ("anna", "bert", "clara", "dora")
LAST = ("bergman", "stein", "novak")
PLACES = ("rome", "new york", "bergheim", "oslo")
FILLERS = ("saw", "left", "the", "old", "in", "for", "a", "day", "and")
PIECES = (*FIRST, "berg", "##man", "##heim", "##ein", "st", "##ein", "novak", "rome", "new")
PIECES = (*PIECES, "york", "oslo", *FILLERS, ".")


@pytest.fixture(scope="session")
def english(checkpoint: Callable[[str, Sequence[str]], Path]) -> Path:
    return checkpoint("english", PIECES)


@pytest.fixture(scope="session")
def tokenizer(english: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(english)


@pytest.fixture
def recipe(config: Make, english: Path) -> TokenClassificationRecipe:
    return TokenClassificationRecipe(ToyTags(), config(base=str(english), labels=ENTITIES))


def row(values: dict[str, Any]) -> DataRow:
    return DataRow(values, Path("train.jsonl"), 1)


def labelled(
    recipe: TokenClassificationRecipe, tokenizer: Any, values: dict[str, Any]
) -> list[tuple[str, str | int]]:
    """Tokens of a row with their targets, by name where they have one."""
    dataset = recipe.dataset(recipe.examples([row(values)]), tokenizer)
    names = dict(enumerate(recipe.labels))
    item = dataset[0]
    tokens = tokenizer.convert_ids_to_tokens(item["input_ids"])
    return [(t, names.get(i, i)) for t, i in zip(tokens, item["labels"].tolist(), strict=True)]


def test_the_first_token_of_an_entity_begins_it_and_all_others_are_inside(
    recipe: TokenClassificationRecipe, tokenizer: Any
) -> None:
    spans = [[0, 12, "PER"], [20, 28, "LOC"]]
    found = labelled(recipe, tokenizer, {"text": "Anna Bergman left a bergheim", "spans": spans})
    assert found == [
        ("[CLS]", -100),
        ("anna", "B-PER"),
        ("berg", "I-PER"),
        ("##man", "I-PER"),
        ("left", "O"),
        ("a", "O"),
        ("berg", "B-LOC"),
        ("##heim", "I-LOC"),
        ("[SEP]", -100),
    ]


def test_a_token_across_the_edge_of_a_span_is_in_it(tokenizer: Any) -> None:
    [roles] = token_roles(["novak rome"], [[(3, 10, "X")]], tokenizer)
    assert roles == [(0, 0), (0, 1)]


def test_labels_of_windows_are_those_of_the_text(tokenizer: Any) -> None:
    text = " ".join(["anna left rome and bergman saw oslo"] * 6)
    count = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    labels = np.arange(count)
    dataset = WindowedTokens([text], [labels], tokenizer, max_length=12, seed=3)
    item = dataset[0]
    begin = item["labels"][1]
    assert item["labels"].tolist() == [-100, *range(begin, begin + 10), -100]
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert item["input_ids"][1:-1] == ids[begin : begin + 10]


def test_the_loss_with_one_label_allowed_is_cross_entropy() -> None:
    torch.manual_seed(1)
    logits, gold = torch.randn(7, 5), torch.randint(0, 5, (7,))
    allowed = F.one_hot(gold, 5).bool()
    for smoothing in (0.0, 0.1):
        wanted = F.cross_entropy(logits, gold, label_smoothing=smoothing)
        assert torch.allclose(marginal_loss(logits, allowed, smoothing), wanted)


def test_the_loss_with_several_labels_allowed_is_that_of_their_sum() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    allowed = torch.tensor([[True, False, True]])
    share = logits.softmax(-1)[0]
    assert torch.allclose(marginal_loss(logits, allowed), -(share[0] + share[2]).log())


def test_what_a_set_did_not_look_for_is_left_open(
    recipe: TokenClassificationRecipe, tokenizer: Any
) -> None:
    values = {"text": "anna saw rome", "spans": [[0, 4, "PER"]]}
    examples = recipe.examples([row({**values, "label_set": ["PER"]}), row(values)])
    dataset = recipe.dataset(examples, tokenizer)
    batch = recipe.collate([dataset[0], dataset[1]], tokenizer)
    logits = torch.full((*batch["labels"].shape, len(ENTITIES)), -9.0)
    for index, label in enumerate(["B-PER", "O", "B-LOC"], start=1):
        logits[:, index, ENTITIES.index(label)] = 9.0
    losses = [
        recipe.loss({"logits": logits[i : i + 1]}, batch["labels"][i : i + 1]) for i in (0, 1)
    ]
    assert losses[0] < 1e-3 < losses[1]


def test_labels_come_from_the_data_or_the_settings(config: Make, english: Path) -> None:
    rows = [row({"tokens": ["anna", "rome"], "tags": ["S-PER", "S-LOC"]})]
    given = config(base=str(english), labels=[])
    recipe = TokenClassificationRecipe(ToyTags(), given)
    recipe.fit(rows)
    assert recipe.labels == ENTITIES
    kinds = TokenClassificationRecipe(ToyTags(), given)
    kinds.fit([row({"tokens": ["a", "day"], "tags": ["DET", "NOUN"]})])
    assert kinds.labels == ["DET", "NOUN"]
    assert kinds.plain
    bare = TokenClassificationRecipe(ToyTags(), given)
    bare.fit([row({"tokens": ["anna", "saw", "rome"], "tags": ["PER", "O", "LOC"]})])
    assert bare.labels == ENTITIES
    with pytest.raises(DataError, match="unknown label 'ORG'"):
        recipe.examples([row({"text": "anna", "spans": [[0, 4, "ORG"]]})])
    with pytest.raises(DataError, match="has no labels"):
        TokenClassificationRecipe(ToyTags(), given).fit([row({"text": "anna", "spans": []})])


def test_where_tags_are_of_single_tokens_every_piece_of_a_word_has_its_tag(
    config: Make, english: Path, tokenizer: Any
) -> None:
    recipe = TokenClassificationRecipe(ToyTags(), config(base=str(english), labels=[]))
    values = {"tokens": ["the", "bergman"], "tags": ["DET", "NOUN"]}
    recipe.fit([row(values)])
    found = labelled(recipe, tokenizer, values)
    assert found[1:-1] == [("the", "DET"), ("berg", "NOUN"), ("##man", "NOUN")]


def sentences(count: int, seed: int) -> list[list[tuple[str, str]]]:
    """Words with tags."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        words = [(word, "O") for word in chance.choices(FILLERS, k=chance.randint(1, 4))]
        for _ in range(chance.randint(1, 2)):
            if chance.random() < 0.5:
                name = [chance.choice(FIRST)] + [chance.choice(LAST)] * chance.randint(0, 1)
            else:
                name = chance.choice(PLACES).split()
            kind = "PER" if name[0] in FIRST else "LOC"
            words += [(word, f"{'I' if index else 'B'}-{kind}") for index, word in enumerate(name)]
            words += [(word, "O") for word in chance.choices(FILLERS, k=chance.randint(1, 3))]
        found.append(words)
    return found


def write_conll(path: Path, rows: Sequence[Sequence[tuple[str, str]]]) -> Path:
    blocks = ("".join(f"{word} {tag}\n" for word, tag in row) for row in rows)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


def train(base: Path, data: Path, dev: Path, output: Path, *more: str) -> None:
    options = {"base": base, "data": data, "eval": dev, "output": output}
    fixed = "--epochs 12 --batch-size 8 --learning-rate 0.005 --device cpu --threads 1"
    flags = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    done = CliRunner().invoke(main, ["train", "ner", *flags, *fixed.split(), *more])
    assert done.exit_code == 0, done.output


def test_a_conll_file_becomes_a_bundle_that_names_entities(english: Path, tmp_path: Path) -> None:
    data = write_conll(tmp_path / "train.conll", sentences(80, 0))
    dev = write_conll(tmp_path / "dev.conll", sentences(24, 1))
    output = tmp_path / "out"
    train(english, data, dev, output)
    bundle = Bundle.open(output, verify=True)
    assert bundle.labels == ENTITIES
    assert list(bundle.precisions) == ["fp32", "int8"]
    assert bundle.manifest is not None
    assert bundle.manifest.precisions["int8"].metrics["f1"] > 0.95
    text = "The old  CLARA Stein\nleft New York"
    with pipeline("ner", bundle) as tagger:
        answer = tagger(text, aggregation_strategy="first")
    assert [(item["entity_group"], item["start"], item["end"]) for item in answer] == [
        ("PER", 9, 20),
        ("LOC", 26, 34),
    ]
    done = CliRunner().invoke(
        main,
        ["evaluate", str(output), "--data", str(dev), "--format", "json", "--precision", "int8"],
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["metric"] == "f1"
    assert report["f1"] > 0.95
    assert report["labels"].keys() == {"LOC", "PER"}


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Knows all names, has other tokens, and its labels in another order than `ENTITIES`."""
    labels = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")

    def sure(label: str) -> list[float]:
        return [8.0 * (name == label) for name in labels]

    words = dict.fromkeys((*FILLERS, "."), sure("O"))
    words |= dict.fromkeys(FIRST, sure("B-PER")) | dict.fromkeys(LAST, sure("I-PER"))
    words |= {"new": sure("B-LOC"), "york": sure("I-LOC"), "ro": sure("B-LOC")}
    words |= {"##me": sure("I-LOC"), "oslo": sure("B-LOC"), "bergheim": sure("B-LOC")}
    folder = tmp_path_factory.mktemp("teacher")
    return tiny_token_classifier(folder, words, labels=labels)


def test_a_teacher_tells_tokens_of_another_tokenizer(
    config: Make, english: Path, tokenizer: Any, teacher: Bundle
) -> None:
    settings = config(
        base=str(english),
        labels=ENTITIES,
        teacher=str(teacher.path),
        teacher_share=0.25,
        teacher_temperature=1.0,
    )
    recipe = TokenClassificationRecipe(ToyTags(), settings)
    examples = recipe.examples([row({"text": "anna saw rome", "spans": [[0, 4, "PER"]]})])
    text = "anna left bergheim"  # one token of the teacher, berg and ##heim of the student
    dataset = recipe.dataset(recipe.taught(examples, [row({"tokens": text.split()})]), tokenizer)
    batch = recipe.collate([dataset[0], dataset[1]], tokenizer)
    labels, told = batch["labels"][..., 0], batch["labels"][..., 1:]
    assert labels[0].tolist() == [-100, ENTITIES.index("B-PER"), 0, 0, -100, -100]
    assert labels[1].tolist() == [-100] * 6
    likely = [[ENTITIES[place] for place in told[i, 1:-1].argmax(-1)] for i in (0, 1)]
    assert likely[0][:3] == ["B-PER", "O", "B-LOC"]
    assert likely[1] == ["B-PER", "O", "B-LOC", "I-LOC"]
    shares = told.sum(-1)
    assert torch.allclose(shares[0], torch.tensor([0.0, 0.25, 0.25, 0.25, 0.0, 0.0]))
    assert torch.allclose(shares[1], torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0, 0.0]))
    logits = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    scores = logits.log_softmax(-1)
    hard = [-scores[0, place, int(labels[0, place])] for place in (1, 2, 3)]
    expected = (0.75 * sum(hard) - (told * scores).sum()) / 7
    assert torch.allclose(recipe.loss({"logits": logits}, batch["labels"]), expected)


def test_texts_without_labels_teach_names_that_no_row_has(
    config: Make, english: Path, teacher: Bundle, tmp_path: Path
) -> None:
    data = write_conll(tmp_path / "few.conll", [[("anna", "B-PER"), ("saw", "O")]] * 2)
    dev = write_conll(tmp_path / "dev.conll", sentences(24, 1))
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(" ".join(word for word, _ in one) for one in sentences(64, 0)))
    settings = config(
        base=str(english),
        data=[str(data)],
        eval=[str(dev)],
        labels=ENTITIES,
        epochs=12,
        eval_steps=108,
    ).model_copy(update={"teacher": str(teacher.path), "unlabelled": [str(texts)]})
    folder = fine_tune(ToyTags(), settings)
    record = json.loads((folder.parent / "run.json").read_text())
    assert record["scores"]["f1"] > 0.9


SURNAMES, GIVEN = "张王李赵陈", "伟芳娜敏静强磊洋"
CITIES = ("北京", "上海", "哈尔滨", "石家庄")
PATTERNS = ("{p}在{c}工作。", "😀我和{p}明天去{c}", "{c}是一座大城市。", "他叫{p},今年30岁。")


def chinese(count: int, seed: int) -> list[dict[str, Any]]:
    """Texts with spans of characters."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        person = chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.randint(1, 2)))
        city = chance.choice(CITIES)
        text = chance.choice(PATTERNS).format(p=person, c=city)
        entities = [
            {"start": text.index(name), "end": text.index(name) + len(name), "label": label}
            for name, label in ((person, "PER"), (city, "LOC"))
            if name in text
        ]
        rows.append({"text": text, "entities": entities})
    return rows


def test_a_chinese_model_trains_exports_and_answers_with_exact_offsets(
    checkpoint: Callable[[str, Sequence[str]], Path], tmp_path: Path
) -> None:
    characters = [*SURNAMES, *GIVEN, *"".join(CITIES), *"".join(PATTERNS), "30"]
    base = checkpoint("chinese", [char for char in characters if char not in "{}pc😀"])
    data, dev = tmp_path / "train.jsonl", tmp_path / "dev.jsonl"
    for path, rows in ((data, chinese(64, 0)), (dev, chinese(24, 1))):
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text("".join(lines), encoding="utf-8")
    train(base, data, dev, tmp_path / "zh", "--precisions", "int8")
    text = "😀我和王敏洋明天去石家庄。\n😀我和赵磊明天去 哈尔滨"
    with pipeline("ner", tmp_path / "zh") as tagger:
        answer = tagger(text)
    assert [(item["entity_group"], item["word"]) for item in answer] == [
        ("PER", "王敏洋"),
        ("LOC", "石家庄"),
        ("PER", "赵磊"),
        ("LOC", "哈尔滨"),
    ]
    assert all(text[item["start"] : item["end"]] == item["word"] for item in answer)
