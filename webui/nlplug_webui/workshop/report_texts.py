"""Names in the reports of training runs and gates: metrics, baselines, forms of a precision."""

from __future__ import annotations

# Key → English, Chinese. A name without a key is shown as it is.
REPORT: dict[str, tuple[str, str]] = {
    "metric_accuracy": ("Accuracy", "准确率"),
    "metric_bits_per_byte": ("Bits per byte", "每字节比特数"),
    "metric_chrf": ("chrF", "chrF"),
    "metric_f1": ("F1", "F1"),
    "metric_perplexity": ("Perplexity", "困惑度"),
    "baseline_majority": ("most frequent label", "最常见的标签"),
    "baseline_no_entities": ("no entities", "没有实体"),
    "baseline_always_no_answer": ("always “no answer”", "总是“没有答案”"),
    "form_as_configured": ("as configured", "按设置"),
    "form_one_scale_per_column_smoothed": (
        "one scale per column, smoothed",
        "每列一个缩放系数，经平滑",
    ),
    "form_scales_moved_out_of_outlier_channels": (
        "scales moved out of outlier channels",
        "缩放系数移出离群通道",
    ),
    "form_scales_moved_smoothing_of_all_products": (
        "scales moved, smoothing of all products",
        "移动缩放系数，平滑所有乘积",
    ),
    "form_scales_moved_7_bit_weights": (
        "scales moved, 7-bit weights",
        "移动缩放系数，7 位权重",
    ),
    "form_weights_stored_as_int8_in_blocks_of_32_arithmetic_in_float": (
        "weights stored as int8 in blocks of 32, arithmetic in float",
        "权重以 int8 按 32 个一块存储，以浮点计算",
    ),
    "form_weights_stored_as_fp16_arithmetic_in_float": (
        "weights stored as fp16, arithmetic in float",
        "权重以 fp16 存储，以浮点计算",
    ),
    "rows_labelled": ("{n} labelled {n:row|rows}", "{n} 行标注数据"),
    "rows_plain": ("{n} {n:row|rows} without labels", "{n} 行未标注数据"),
    "model_answer": ("Answer of the model", "模型的答案"),
}
