"""Models with random weights, by shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MarianConfig,
    MarianMTModel,
)

from nlplug.errors import OptionError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from nlplug.train.pretrain_config import PretrainConfig


_OWNERS = {
    "decoder_layers": "marian",
    "kv_heads": "llama",
    "source": "marian",
    "target": "marian",
    "target_token": "marian",
}
"""Settings of one architecture alone."""


def check_shape(config: PretrainConfig) -> None:
    """Refuse widths and heads that do not go together, and settings of another architecture.

    Raises:
        OptionError: They do not.
    """
    for name, owner in _OWNERS.items():
        value = getattr(config, name)
        if value and config.architecture != owner:
            raise OptionError(
                f"--{name.replace('_', '-')} is {value!r}, but {config.architecture} has no such "
                "setting.",
                hint=f"It is of --architecture {owner}: leave it out, or change that.",
            )
    if config.tokenizer_model == "wordpiece" and config.architecture != "bert":
        raise OptionError(
            f"--tokenizer-model is 'wordpiece', with which {config.architecture} cannot write.",
            hint="It does not keep white space: choose bpe or unigram, or --architecture bert.",
        )
    if config.hidden % config.heads:
        raise OptionError(
            f"--hidden is {config.hidden}, which {config.heads} heads do not share evenly.",
            hint="Choose a multiple of --heads; 64 a head is usual.",
        )
    if (config.hidden // config.heads) % 2 and config.architecture == "llama":
        raise OptionError(
            f"--hidden is {config.hidden}: a head of {config.hidden // config.heads} is odd.",
            hint="Rotary positions turn pairs, so a head needs an even width.",
        )
    if config.heads % (config.kv_heads or config.heads):
        raise OptionError(
            f"--kv-heads is {config.kv_heads}, among which {config.heads} heads do not divide.",
            hint="Choose a divisor of --heads.",
        )


def make_model(config: PretrainConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A model of the shape that the settings tell, its weights drawn from torch's generator."""
    # Sizes are made even for the hardware; the tokens beyond the vocabulary never come.
    size = -(-len(tokenizer) // 8) * 8
    makers: dict[str, Callable[[PretrainConfig, int, Any], PreTrainedModel]] = {
        "bert": _bert,
        "llama": _llama,
        "gpt2": _gpt2,
        "marian": _marian,
    }
    return makers[config.architecture](config, size, tokenizer)


def _bert(config: PretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    model: PreTrainedModel = BertForMaskedLM(
        BertConfig(
            vocab_size=size,
            hidden_size=config.hidden,
            intermediate_size=config.intermediate or 4 * config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.max_length,
            hidden_dropout_prob=0.1 if config.dropout is None else config.dropout,
            attention_probs_dropout_prob=0.0,
            tie_word_embeddings=config.tied,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    return model


def _llama(config: PretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    third = -(-config.hidden * 8 // 3 // 32) * 32
    model: PreTrainedModel = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size,
            hidden_size=config.hidden,
            intermediate_size=config.intermediate or third,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.kv_heads or config.heads,
            max_position_embeddings=config.max_length,
            tie_word_embeddings=config.tied,
            **_ids(tokenizer),
        )
    )
    return model


def _gpt2(config: PretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    dropout = config.dropout or 0.0
    model: PreTrainedModel = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size,
            n_embd=config.hidden,
            n_inner=config.intermediate,
            n_layer=config.layers,
            n_head=config.heads,
            n_positions=config.max_length,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=0.0,
            tie_word_embeddings=config.tied,
            **_ids(tokenizer),
        )
    )
    return model


def _marian(config: PretrainConfig, size: int, tokenizer: Any) -> PreTrainedModel:
    width = config.intermediate or 4 * config.hidden
    model: PreTrainedModel = MarianMTModel(
        MarianConfig(
            vocab_size=size,
            d_model=config.hidden,
            encoder_layers=config.layers,
            decoder_layers=config.decoder_layers or config.layers,
            encoder_attention_heads=config.heads,
            decoder_attention_heads=config.heads,
            encoder_ffn_dim=width,
            decoder_ffn_dim=width,
            max_position_embeddings=config.max_length,
            activation_function="swish",
            scale_embedding=True,
            dropout=0.1 if config.dropout is None else config.dropout,
            tie_word_embeddings=config.tied,
            decoder_start_token_id=tokenizer.pad_token_id,
            forced_eos_token_id=None,
            **_ids(tokenizer),
        )
    )
    model.generation_config.bad_words_ids = [[tokenizer.pad_token_id]]
    model.generation_config.max_length = config.max_length
    return model


def _ids(tokenizer: Any) -> dict[str, int | None]:
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    return {name: getattr(tokenizer, name) for name in names}
