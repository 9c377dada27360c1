"""The repositories that `test_repositories.py` builds: those that answer, and those refused."""

from __future__ import annotations

from typing import Any

from layouts_kit import MPNET, PAIRS, VOCABULARY, WORDS, Layout, Tag

BERT = {"tokenizer_class": "BertTokenizer"}
ROBERTA = {"model_type": "roberta", "pad_token_id": 0, "max_position_embeddings": 65}
DECODER = {"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"]}
GENERAL = ("LABEL_0", "LABEL_1")
PAIRS_CONFIG = {"model_type": "roberta", "pad_token_id": 1, "max_position_embeddings": 66}
PAD_5 = {"onnx/model.onnx": {"pad": 5}}
NO_PAD = {"vocabulary": [word for word in VOCABULARY if word != "[PAD]"] + ["spare"]}


def graph(**told: Any) -> dict[str, dict[str, Any]]:
    return {"onnx/model.onnx": told}


FAST = "PreTrainedTokenizerFast"
ROLES = {
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "mask_token": "[MASK]",
}
LLAMA = {
    "tokenizer_class": "LlamaTokenizer",
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "unk_token": "[UNK]",
}
SPECIAL_WORD = {"lstrip": True, "rstrip": True, "single_word": False, "normalized": False}

ANSWER = [
    Layout(
        "optimum-cli",
        {"model.onnx": {"types": "token_type_ids"}},
        files={"special_tokens_map.json": {"pad_token": "[PAD]", "unk_token": "[UNK]"}},
    ),
    Layout(
        "xenova",
        {"onnx/model.onnx": {}, "onnx/model_quantized.onnx": {}},
        files={"quantize_config.json": {}},
    ),
    Layout(
        "onnx-community",
        {f"onnx/model{end}.onnx": {} for end in ("", "_fp16", "_q4", "_int8", "_bnb4", "_q4f16")},
        files={"generation_config.json": {}},
    ),
    Layout(
        "sentence-transformers",
        {f"onnx/model{end}.onnx": {} for end in ("", "_O1", "_O2", "_O3", "_qint8_avx512_vnni")},
        files={"modules.json": {}, "sentence_bert_config.json": {"max_seq_length": 48}},
        window=48,
    ),
    Layout("text-embeddings-inference", tokenizer_config=None),
    Layout("quantized-at-the-root", {"model_quantized.onnx": {}}),
    Layout("quantized-alone-in-onnx", {"onnx/model_quantized.onnx": {}}),
    Layout("optimized", {"onnx/model_optimized.onnx": {}}),
    Layout("optimized-and-quantized", {"model_optimized_quantized.onnx": {}}),
    Layout("level-of-the-optimizer", {"onnx/model_O2.onnx": {}}),
    Layout("name-of-its-own", {"classifier.onnx": {}}),
    Layout("name-of-its-own-quantized", {"onnx/classifier_quantized.onnx": {}}),
    Layout("tokenizer-in-onnx", tokenizer="onnx/tokenizer.json", tokenizer_config=None),
    Layout("tokenizer-in-a-folder", tokenizer="tokenizer/tokenizer.json", tokenizer_config=None),
    Layout("all-in-onnx", tokenizer="onnx/tokenizer.json", config_file="onnx/config.json"),
    Layout(
        "vocab-json-and-merges",
        tokenizer="vocab.json",
        vocabulary=PAIRS,
        config=PAIRS_CONFIG,
        tokenizer_config=None,
        pads=1,
        first=2,
    ),
    Layout(
        "vocab-json-of-bart",
        tokenizer="vocab.json",
        vocabulary=PAIRS,
        tokenizer_config={"tokenizer_class": "BartTokenizer", "add_prefix_space": True},
        pads=1,
    ),
    Layout(
        "vocab-json-of-gpt2",
        tokenizer="vocab.json",
        vocabulary=PAIRS,
        config={**DECODER, "pad_token_id": 1},
        tokenizer_config={"tokenizer_class": "GPT2Tokenizer", "additional_special_tokens": ["oo"]},
        pads=1,
    ),
    Layout("vocab-txt", tokenizer="vocab.txt", tokenizer_config=None),
    Layout("vocab-txt-cased", tokenizer="vocab.txt", tokenizer_config={"do_lower_case": False}),
    Layout(
        "vocab-txt-with-accents", tokenizer="vocab.txt", tokenizer_config={"strip_accents": False}
    ),
    Layout(
        "vocab-txt-of-mpnet",
        tokenizer="vocab.txt",
        vocabulary=[*MPNET, *WORDS],
        config={"model_type": "mpnet", "max_position_embeddings": 66, "pad_token_id": 1},
        tokenizer_config={"tokenizer_class": "MPNetTokenizer"},
        pads=1,
        first=2,
    ),
    Layout("vocab-txt-in-onnx", tokenizer="onnx/vocab.txt", tokenizer_config=None),
    Layout("case-overridden", tokenizer_config={**BERT, "do_lower_case": False}),
    Layout("case-of-the-class", lowercase=False, tokenizer_config=BERT),
    Layout(
        "accents-overridden",
        tokenizer_config={**BERT, "do_lower_case": True, "strip_accents": False},
    ),
    Layout("cased", lowercase=False, tokenizer_config=None),
    Layout(
        "prefix-space-overridden",
        tokenizer="byte-level",
        config=ROBERTA,
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True},
        first=1,
    ),
    Layout(
        "prefix-space-of-the-class",
        tokenizer="byte-level with a space",
        config=ROBERTA,
        tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast"},
        first=1,
    ),
    Layout(
        "label2id-alone",
        config={"id2label": None, "label2id": {"no": 0, "yes": 1}},
        labels=("no", "yes"),
    ),
    Layout("no-labels", config={"id2label": None}, labels=GENERAL),
    Layout("positions", graph(positions=True)),
    Layout("positions-of-roberta", graph(positions=True), config=ROBERTA, first=1),
    Layout("mask-of-bool", graph(mask="bool")),
    Layout("mask-of-float", graph(mask="float32")),
    Layout("int32", graph(kind="int32", mask="int32", types="token_type_ids")),
    Layout("no-mask", graph(mask=None)),
    Layout("mask-that-nothing-reads", graph(reads_mask=False)),
    Layout("no-mask-no-pad", graph(mask=None), **NO_PAD, pads=None),
    Layout("one-row-per-run", graph(batch=1)),
    Layout("fixed-length", graph(length=32), window=32),
    Layout("one-row-of-fixed-length", graph(batch=1, length=16, types="token_type_ids"), window=16),
    Layout("names-of-tensorflow", graph(mask_name="input_mask", types="segment_ids")),
    Layout("output-0", graph(outputs=("output_0",))),
    Layout("output-of-undeclared-shape", graph(outputs=("scores",), declares_shape=False)),
    Layout("several-outputs", graph(outputs=("logits", "other"))),
    Layout("pad-in-the-config", PAD_5, config={**DECODER, "pad_token_id": 5}, pads=5),
    Layout(
        "pad-in-the-special-tokens-map",
        PAD_5,
        config=DECODER,
        tokenizer_config={},
        files={"special_tokens_map.json": {"pad_token": {"content": "good"}}},
        pads=5,
    ),
    Layout(
        "pad-in-the-tokenizer-config",
        PAD_5,
        config=DECODER,
        tokenizer_config={"pad_token": "good"},
        pads=5,
    ),
    Layout(
        "pad-in-the-generation-config",
        PAD_5,
        config=DECODER,
        tokenizer_config={},
        files={"generation_config.json": {"pad_token_id": 5}},
        pads=5,
    ),
    Layout(
        "pad-in-the-tokenizer", PAD_5, config=DECODER, tokenizer_config={}, padding=True, pads=5
    ),
    Layout("no-pad-anywhere", PAD_5, config=DECODER, tokenizer_config={}, **NO_PAD, pads=None),
    Layout(
        "added-tokens",
        files={"added_tokens.json": {"of": len(VOCABULARY)}},
        tokenizer_config={**BERT, "do_lower_case": True},
    ),
    Layout("special-tokens-listed-beside", lists_added=False, tokenizer_config={**BERT, **ROLES}),
    Layout(
        "special-tokens-in-the-map-only",
        lists_added=False,
        tokenizer_config=BERT,
        files={"special_tokens_map.json": ROLES},
    ),
    Layout(
        "further-special-tokens",
        tokenizer_config={"tokenizer_class": FAST, "additional_special_tokens": ["bad"]},
        config={"vocab_size": len(VOCABULARY)},
    ),
    Layout(
        "further-special-tokens-in-the-map",
        tokenizer_config={"tokenizer_class": FAST},
        files={"special_tokens_map.json": {"additional_special_tokens": ["cafe"]}},
    ),
    Layout(
        "further-special-tokens-of-the-model",
        tokenizer_config={"tokenizer_class": FAST, "additional_special_tokens": ["of", "films"]},
        config={"vocab_size": 32},
    ),
    Layout(
        "a-role-of-a-word",
        tokenizer_config={"tokenizer_class": FAST, "mask_token": "film", "eos_token": "good"},
    ),
    Layout(
        "a-role-that-strips-spaces",
        tokenizer_config={"tokenizer_class": FAST},
        files={"special_tokens_map.json": {"mask_token": {"content": "bad", **SPECIAL_WORD}}},
    ),
    Layout(
        "added-tokens-decoder",
        tokenizer_config={
            "tokenizer_class": FAST,
            "added_tokens_decoder": {
                "9": {"content": "café", **SPECIAL_WORD, "special": False},
                str(len(VOCABULARY)): {"content": "GOOD", **SPECIAL_WORD, "special": True},
                str(len(VOCABULARY) + 1): {"content": "of", **SPECIAL_WORD, "normalized": True},
            },
        },
    ),
    Layout(
        "added-tokens-decoder-before-the-map",
        tokenizer_config={
            "tokenizer_class": FAST,
            "pad_token": "[PAD]",
            "added_tokens_decoder": {"0": {"content": "[PAD]", "special": True}},
        },
        files={"special_tokens_map.json": {"pad_token": "good"}},
    ),
    Layout("class-that-begins-texts", tokenizer_config=LLAMA),
    Layout("class-that-ends-texts", tokenizer_config={**LLAMA, "add_eos_token": True}),
    Layout(
        "class-that-only-ends-texts",
        tokenizer_config={**LLAMA, "add_bos_token": False, "add_eos_token": True},
    ),
    Layout(
        "class-that-frames-nothing",
        tokenizer_config={**LLAMA, "tokenizer_class": "GPTNeoXTokenizer", "add_eos_token": None},
    ),
    Layout("padding-and-truncation-stored", padding=True, pads=5),
    Layout("byte-order-marks", begins=b"\xef\xbb\xbf"),
    Layout("one-label", labels=("score",), config={"problem_type": "regression"}),
    Layout("labels-from-numbers", config={"id2label": {"0": 0, "1": 1}}, labels=("0", "1")),
    Layout(
        "labels-by-text-ids",
        config={"id2label": None, "label2id": {"yes": "1", "no": "0"}},
        labels=("no", "yes"),
    ),
    Layout("labels-in-another-order", config={"id2label": {"1": "positive", "0": "negative"}}),
    Layout("number-of-labels-alone", config={"id2label": None, "num_labels": 2}, labels=GENERAL),
    Layout("length-fixed-by-the-mask", graph(mask_length=24, types="token_type_ids"), window=24),
    Layout("eight-rows-per-run", graph(batch=8)),
    Layout("hidden-states-beside", graph(outputs=("output_0",), hidden="output_1")),
    Layout("logarithms", graph(last="Identity", outputs=("scores",))),
    Layout("no-limit-as-a-sentinel", tokenizer_config={**BERT, "model_max_length": 10**30}),
    Layout("no-limit-as-null", tokenizer_config={**BERT, "model_max_length": None}),
    Layout("positions-as-int32", graph(positions=True, kind="int32", mask="float32")),
    Layout("precision-of-its-own", {"onnx/model_quint8_avx2.onnx": {}}),
]
REFUSED = [
    Layout(
        "probabilities",
        graph(last="Softmax"),
        refused=r"model\.onnx gives logits that are probabilities",
    ),
    Layout(
        "probabilities-of-several-labels",
        graph(last="Sigmoid", outputs=("output_0",)),
        refused="gives output_0 that are probabilities",
    ),
    Layout(
        "probabilities-by-name",
        graph(outputs=("probabilities",)),
        refused="gives probabilities that are probabilities",
    ),
    Layout(
        "several-heads",
        graph(outputs=("topic_logits", "mood_logits")),
        refused="gives topic_logits, mood_logits; which of them are the logits is unknown",
    ),
    Layout(
        "several-heads-without-names",
        graph(outputs=("output_0", "output_1")),
        refused="gives output_0, output_1; which of them",
    ),
    Layout(
        "unknown-problem",
        config={"problem_type": "ranking"},
        refused="problem_type 'ranking'",
    ),
    Layout(
        "labels-of-null",
        config={"id2label": {"0": None, "1": "b"}},
        refused="id2label has the label None, not a text",
    ),
    Layout(
        "labels-of-lists",
        config={"id2label": {"0": ["a"], "1": ["b"]}},
        refused=r"id2label has the label \['a'\], not a text",
    ),
    Layout(
        "labels-as-a-list", config={"id2label": ["a", "b"]}, refused="id2label is .*not a mapping"
    ),
    Layout(
        "ids-that-are-names", config={"id2label": {"LABEL_0": "a"}}, refused="not a whole number"
    ),
    Layout(
        "inputs-of-two-lengths",
        graph(length=32, mask_length=24),
        refused="they fix 24, 32 as the size of axis 1",
    ),
    Layout(
        "a-decoder-in-two-files",
        {"onnx/decoder_model.onnx": {}, "onnx/decoder_with_past_model.onnx": {}},
        refused="holds the graphs decoder_model, decoder_with_past_model; it is not clear",
    ),
    Layout(
        "graphs-in-a-folder-of-their-own",
        {"onnx/fp16/model.onnx": {}},
        refused="holds no ONNX file",
    ),
    Layout(
        "tags-as-a-classifier",
        graph(per_token=True),
        refused=r"model\.onnx is for another task, token classification: its logits have 3 axes "
        r"\(scores of each token\)",
    ),
    Layout(
        "tags-of-undeclared-shape",
        graph(per_token=True, declares_shape=False),
        refused="is for another task.*: its logits have 3 axes",
    ),
    Layout(
        "a-classifier-as-tags",
        task=Tag,
        refused=r"for another task, text classification: its logits have 2 axes "
        r"\(scores of a whole text\)",
    ),
    Layout(
        "a-reader-as-a-classifier",
        graph(outputs=("start_logits", "end_logits")),
        refused="for another task, question answering: it gives start_logits, end_logits, "
        "but this task needs logits",
    ),
    Layout(
        "a-reader-of-other-names",
        graph(outputs=("start", "end")),
        refused="for another task: it gives start, end, but this task needs logits",
    ),
    Layout(
        "a-bare-encoder",
        graph(per_token=True, outputs=("last_hidden_state",)),
        refused="for another task, embeddings: it gives last_hidden_state, but this",
    ),
    Layout("pictures", graph(ids="pixel_values"), refused="pixel_values cannot be fed"),
    Layout(
        "an-unknown-input",
        graph(more_inputs={"bbox": "int64"}),
        refused="needs the inputs attention_mask, bbox, input_ids; bbox cannot be fed",
    ),
    Layout("a-mask-of-4-axes", graph(mask_axes=4), refused="attention_mask has 4 axes"),
    Layout(
        "a-fixed-length-without-pad",
        graph(length=32),
        **NO_PAD,
        refused="each row must have 32 tokens, and the repository names no token to pad with",
    ),
    Layout(
        "more-labels-than-logits",
        config={"id2label": {str(i): f"l{i}" for i in range(5)}},
        refused="gives 2 logits, but its config.json names 5 labels",
    ),
    Layout("labels-with-a-gap", config={"id2label": {"0": "a", "2": "b"}}, refused="the ids 0, 2"),
    Layout(
        "two-labels-of-one-id",
        config={"id2label": None, "label2id": {"a": 0, "b": 0}},
        refused="label2id gives one id to two labels",
    ),
    Layout("sentencepiece-alone", tokenizer="spiece.model", refused="holds no tokenizer.json"),
    Layout(
        "vocab-json-of-another-kind",
        tokenizer="vocab.json",
        vocabulary=PAIRS,
        tokenizer_config={"tokenizer_class": "CLIPTokenizer"},
        refused="holds no tokenizer.json",
    ),
    Layout(
        "vocab-txt-of-another-kind",
        tokenizer="vocab.txt",
        tokenizer_config={"tokenizer_class": "PhobertTokenizer"},
        refused="Its vocab.txt is not in the form of BERT's",
    ),
    Layout(
        "vocab-txt-without-special-tokens",
        tokenizer="vocab.txt",
        vocabulary=WORDS,
        refused=r"lacks the special tokens \[UNK\], \[CLS\], \[SEP\]",
    ),
    Layout(
        "two-graphs-of-unknown-names",
        {"first.onnx": {}, "second.onnx": {}},
        refused="holds the graphs first, second; it is not clear which one to use",
    ),
    Layout("no-graph", {}, refused="holds no ONNX file"),
]
