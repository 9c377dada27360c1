"""The texts of the batch tab, in English and in Chinese."""

from __future__ import annotations

BATCH: dict[str, dict[str, str]] = {
    "rows_shown": {"en": "The first {n} rows are shown.", "zh": "仅显示前 {n} 行。"},
    "upload": {"en": "Input file", "zh": "输入文件"},
    "upload_info": {
        "en": "CSV, TSV, JSONL, JSON, TXT (one input per line), also .gz, .bz2, .xz, .zip; Excel; "
        "Parquet",
        "zh": "CSV、TSV、JSONL、JSON、TXT（每行一条），可用 .gz、.bz2、.xz、.zip 压缩；Excel；"
        "Parquet",
    },
    "column": {"en": "Column for “{field}”", "zh": "“{field}”所在的列"},
    "column_info": {"en": "Column of the file", "zh": "文件中的列"},
    "run_batch": {"en": "Process file", "zh": "处理文件"},
    "batch_empty": {"en": "No file yet", "zh": "还没有文件"},
    "batch_empty_hint": {
        "en": "Add a file and click “Process file”. Rows are read one by one.",
        "zh": "添加文件后点击“处理文件”；文件逐行读取。",
    },
    "batch_ready": {"en": "{n} {n:row|rows}, ready to run", "zh": "共 {n} 行，可以运行"},
    "batch_running": {"en": "{done} of {total} {total:row|rows}", "zh": "{done} / {total} 行"},
    "batch_done": {"en": "{n} {n:row|rows} in {time}", "zh": "{n} 行，用时 {time}"},
    "batch_stopped": {
        "en": "Stopped after {n} of {total} {total:row|rows}, in {time}. "
        "The files have these rows.",
        "zh": "已在 {total} 行中的第 {n} 行后停止，用时 {time}。文件包含这些行的结果。",
    },
    "batch_left": {"en": "about {time} left", "zh": "约剩 {time}"},
    "batch_skipped": {
        "en": "{n} {n:row|rows} cannot be processed and {n:is|are} skipped",
        "zh": "{n} 行无法处理，已跳过",
    },
    "batch_waiting": {
        "en": "Two other files are being processed. This one comes next.",
        "zh": "正在处理另外两个文件，之后处理这个文件。",
    },
    "batch_full": {"en": "{n} files are waiting already.", "zh": "已有 {n} 个文件在等待。"},
    "batch_full_hint": {"en": "Try again in a few minutes.", "zh": "请过几分钟再试。"},
    "batch_lost": {
        "en": "The results of this batch are no longer on the server: they were deleted, nobody "
        "opened them for 24 hours, or the server stopped before they were complete. Process the "
        "file again.",
        "zh": "服务器上已没有这次批量处理的结果：结果已被删除、超过 24 小时未被打开，"
        "或服务器在处理完成前已停止。请重新处理文件。",
    },
    "batch_progress": {"en": "Progress", "zh": "进度"},
    "batch_scores": {"en": "Distribution of the scores", "zh": "得分分布"},
    "batch_summary": {"en": "Summary", "zh": "汇总"},
    "batch_texts": {"en": "Most frequent", "zh": "出现最多"},
    "batch_label_count": {"en": "{n} · average score {score}", "zh": "{n} · 平均得分 {score}"},
    "no_excel": {
        "en": "The result does not fit into an Excel sheet.",
        "zh": "结果超出 Excel 工作表的限制。",
    },
    "reason": {"en": "reason", "zh": "原因"},
    "batch_rate": {"en": "{rate} {rate:row|rows} per second", "zh": "每秒 {rate} 行"},
    "batch_no_file": {"en": "There is no file to process.", "zh": "没有可处理的文件。"},
    "batch_no_file_hint": {"en": "Add a file first.", "zh": "请先添加文件。"},
    "download_csv": {"en": "Download CSV", "zh": "下载 CSV"},
    "download_jsonl": {"en": "Download JSONL", "zh": "下载 JSONL"},
    "download_xlsx": {"en": "Download Excel", "zh": "下载 Excel"},
    "download_skipped": {"en": "Download skipped rows", "zh": "下载跳过的行"},
    "number": {"en": "line", "zh": "行号"},
}
