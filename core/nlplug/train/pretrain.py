"""Training from scratch: makes a tokenizer and a model with random weights, and trains it.

The new model is written to the run's folder as a checkpoint. From there on it is an ordinary
training run, with the same recipes, checkpoints, resuming and evaluation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlplug.errors import OptionError, TrainingError
from nlplug.export.saved_tokenizer import read_tokenizer, save_tokenizer
from nlplug.extras import require_training
from nlplug.families import BUILT_IN
from nlplug.families.family import Family, load
from nlplug.models.atomic import Staged
from nlplug.train.plan import check_length
from nlplug.train.processes import main_first
from nlplug.train.run import read_examples
from nlplug.train.workspace import Workspace, check_output

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.config import TrainConfig
    from nlplug.train.language import LanguageRecipe
    from nlplug.train.pretrain_config import PretrainConfig

REPORT = "training.json"
"""File in the finished checkpoint: scores and settings of the run."""


def settings_of(architecture: str) -> type[PretrainConfig]:
    """The class of the settings for training an architecture from scratch.

    Raises:
        OptionError: No family has such an architecture.
    """
    settings: type[PretrainConfig] = load(_family(architecture).pretraining)
    return settings


def architectures() -> list[str]:
    """The architectures that can be trained from scratch, the default first."""
    return [name for family in _families() for name in family.architectures]


def make_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A new model with random weights from torch's generator."""
    # The size is rounded up to a multiple of 8 for speed; the extra rows are never used.
    size = -(-len(tokenizer) // 8) * 8
    recipe: type[LanguageRecipe] = load(_family(config.architecture).training)
    return recipe.new_model(config, size, tokenizer)


def _families() -> list[Family]:
    return [load(name) for name in BUILT_IN]


def _family(architecture: str) -> Family:
    for family in _families():
        if architecture in family.architectures:
            return family
    raise OptionError(
        f"There is no architecture {architecture!r} to train from scratch.",
        hint=f"Choose from {', '.join(architectures())}.",
    )


def pretrain(config: PretrainConfig) -> Path:
    """Train a tokenizer and a model from scratch.

    An interrupted run leaves the folder ``<output>.training``, and ``config.resume`` continues it.

    Returns:
        The finished checkpoint, a folder in Hugging Face's layout with ``training.json`` in it.

    Raises:
        DataError: The data cannot be used.
        OptionError: The settings cannot be combined.
        TrainingError: Training cannot start or continue.
    """
    require_training()
    from nlplug.train.loop import run_loop

    config.check()
    check_length(config)
    family = _family(config.architecture)
    check_output(config.output, mark=REPORT, kind="pretrained model")
    work = Workspace.open(config)
    work.check_data()
    if work.finished:
        return _publish(config, work)
    base = work.folder / "base"
    settings: TrainConfig = config.from_base(base, load(family.settings))
    recipe: LanguageRecipe = load(family.training)(None, settings)
    examples = read_examples(recipe, settings)
    with ExitStack() as stack:
        with main_first() as main:
            if main:
                stack.enter_context(work.started())
                if not base.is_dir():
                    _make_base(recipe, config, examples[0], base)
        run_loop(recipe, settings, work, *examples)
        return _publish(config, work)


def _make_base(
    recipe: LanguageRecipe, config: PretrainConfig, examples: Sequence[Any], base: Path
) -> None:
    from transformers import set_seed

    tokenizer = _tokenizer(recipe, config, examples)
    set_seed(config.seed)
    with Staged(base, folder=True) as staged:
        make_model(config, tokenizer).save_pretrained(staged.path)
        save_tokenizer(tokenizer, staged.path)
        staged.commit()


def _tokenizer(
    recipe: LanguageRecipe, config: PretrainConfig, examples: Sequence[Any]
) -> PreTrainedTokenizerBase:

    if not config.tokenizer:
        kind = config.tokenizer_model
        return recipe.train_tokenizer(examples, kind=kind, size=config.vocabulary)
    try:
        tokenizer: PreTrainedTokenizerBase = read_tokenizer(config.tokenizer)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"The tokenizer {config.tokenizer!r} cannot be loaded: {str(error).splitlines()[0]}",
            hint="Give a folder with tokenizer.json, or a Hub id.",
        ) from None
    return tokenizer


def _publish(config: PretrainConfig, work: Workspace) -> Path:
    """Copy the finished checkpoint to the output folder, atomically."""
    with main_first() as main:
        if main:
            report = {**work.result(), "config": config.model_dump(mode="json")}
            text = json.dumps(report, indent=2) + "\n"
            with Staged(config.output, folder=True) as staged:
                shutil.copytree(work.model, staged.path, dirs_exist_ok=True)
                (staged.path / REPORT).write_text(text, encoding="utf-8")
                staged.commit()
    return config.output
