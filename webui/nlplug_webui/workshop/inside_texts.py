"""The texts of the page *Inside*."""

from __future__ import annotations

# Key → English, Chinese. {n} and the like are filled in by the scripts.
INSIDE: dict[str, tuple[str, str]] = {
    "look": ("Look inside", "查看内部"),
    "looking": ("Reading the text…", "正在读取文本……"),
    "window": ("Window of a long text", "长文本的窗口"),
    "window_of": ("Window {n} of {m}", "第 {n} 个窗口，共 {m} 个"),
    "attention": ("Attention", "注意力"),
    "attention_info": (
        "How much the token of a row reads from the token of a column, in percent. Each row adds "
        "up to 100, apart from rounding.",
        "每行的词元从每列的词元读取多少信息（百分比）。除舍入误差外，每行之和为 100。",
    ),
    "attention_part": (
        "The first {n} of {m} tokens are shown.",
        "仅显示前 {n} 个词元，共 {m} 个。",
    ),
    "map": ("Kind", "种类"),
    "map_self": ("Text to itself", "文本对自身"),
    "map_encoder": ("Source to itself (encoder)", "原文对自身（编码器）"),
    "map_decoder": ("Generated text to itself (decoder)", "生成文本对自身（解码器）"),
    "map_cross": ("Generated text to the source", "生成文本对原文"),
    "layer": ("Layer", "层"),
    "head": ("Head", "头"),
    "mean": ("Mean of all", "全部的平均"),
    "strongest": ("Strongest links", "最强的联系"),
    "link": ("{from} reads {share} % from {to}", "{from} 从 {to} 读取 {share} %"),
    "inside_probabilities": ("Probabilities of the generated tokens", "生成词元的概率"),
    "inside_probabilities_info": (
        "The probability of each token before temperature and other options are applied, and the "
        "most likely tokens at this position.",
        "模型在应用温度等选项之前给出的每个词元的概率，以及该位置最可能的词元。",
    ),
    "token": ("Token", "词元"),
    "probability": ("Probability", "概率"),
    "inside_alternatives": ("Most likely tokens", "最可能的词元"),
    "neighbors": ("Nearest tokens", "最近的词元"),
    "neighbors_info": (
        "The tokens with the most similar input embeddings, and the cosine similarity.",
        "输入嵌入最相似的词元，以及二者的余弦。",
    ),
}
