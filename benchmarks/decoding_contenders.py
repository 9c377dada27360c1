"""The contenders of the decoding benchmarks; each lives in a worker process.

The models are random and never end a text, so that all texts of a case have the same length. How
each engine is told to go on to the end, and to decode at its best, stands here.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from contenders import CPUS, Settings
from decoding import TOP_K, TOP_P, Case, DecodingContender, Entry, Tokens, crews, shares


class Transformers(DecodingContender):
    """``generate`` in PyTorch, fp32; of text-to-text models too."""

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(folder, precision)
        import torch
        import transformers

        self.torch = torch
        config = transformers.AutoConfig.from_pretrained(folder / "checkpoint")
        self.translates = bool(config.is_encoder_decoder)
        self.model = self._model()

    def _model(self) -> Any:
        import transformers

        kind = "Seq2SeqLM" if self.translates else "CausalLM"
        auto = getattr(transformers, f"AutoModelFor{kind}")
        return auto.from_pretrained(self.folder / "checkpoint").eval()

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        return [{"torch_threads": threads} for threads in sorted({1, CPUS})]

    def prepare(self, settings: Settings, case: Case) -> None:
        self.case = case
        self.torch.set_num_threads(settings.get("torch_threads", CPUS))

    def run(self, prompts: Tokens) -> Tokens:
        torch, case, new = self.torch, self.case, self.shape.new
        ids = torch.tensor(prompts)
        config = self.model.generation_config
        config.eos_token_id = config.forced_eos_token_id = None
        sampling = {"top_k": TOP_K, "top_p": TOP_P} if case.sampled else {}
        with torch.inference_mode():
            out = self.model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new,
                do_sample=case.sampled,
                num_beams=case.beams,
                **sampling,
            )
        rows: Tokens = out[:, -new:].tolist()
        return rows


class Optimum(Transformers):
    """The same over optimum-onnx, fp32: threads of torch and of the session, binding or not."""

    file = "optimum"

    def _model(self) -> Any:
        self.models: dict[tuple[int, bool], Any] = {}
        return self._open(CPUS, False)

    def _open(self, threads: int, binding: bool) -> Any:
        key = threads, binding
        if key not in self.models:
            import onnxruntime as ort
            import optimum.onnxruntime

            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            kind = "Seq2SeqLM" if self.translates else "CausalLM"
            self.models[key] = getattr(optimum.onnxruntime, f"ORTModelFor{kind}").from_pretrained(
                self.folder / self.file, session_options=options, use_io_binding=binding
            )
        return self.models[key]

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        threads = sorted({(1, 1), (1, CPUS), (CPUS, CPUS)})
        return [
            {"torch_threads": torch, "session_threads": session, "binding": binding}
            for binding in (False, True)
            for torch, session in threads
        ]

    def prepare(self, settings: Settings, case: Case) -> None:
        super().prepare(settings, case)
        self.model = self._open(
            settings.get("session_threads", CPUS), settings.get("binding", False)
        )


class CTranslate2(DecodingContender):
    """CTranslate2 by its own converter, generator or translator as the model is."""

    environment = "ctranslate2"
    file = "ctranslate2"

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(folder, precision)
        self.translates = self.shape.end is not None
        self.engines: dict[tuple[int, int], Any] = {}
        names = (folder / "tokens.json").read_text(encoding="utf-8")
        self.names: list[str] = json.loads(names)

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        return crews(case)

    def prepare(self, settings: Settings, case: Case) -> None:
        ctranslate2 = import_module("ctranslate2")  # of another environment, as genai below
        self.case = case
        key = settings.get("sessions", 1), settings.get("threads", 1)
        if key not in self.engines:
            kind = ctranslate2.Translator if self.translates else ctranslate2.Generator
            self.engines[key] = kind(
                str(self.folder / self.file),
                device="cpu",
                compute_type="float32" if self.precision == "fp32" else self.precision,
                inter_threads=key[0],
                intra_threads=key[1],
            )
        self.engine = self.engines[key]
        self.sessions = key[0]

    def run(self, prompts: Tokens) -> Tokens:
        case, new = self.case, self.shape.new
        rows = [[self.names[token] for token in prompt] for prompt in prompts]
        common: dict[str, Any] = {
            "beam_size": case.beams,
            # Two workers share a batch only where it is cut for them.
            "max_batch_size": -(-len(rows) // self.sessions),
            "sampling_topk": TOP_K if case.sampled else 1,
            "sampling_topp": TOP_P if case.sampled else 1.0,
        }
        if self.translates:
            answers = self.engine.translate_batch(
                rows, max_decoding_length=new, min_decoding_length=new, **common
            )
            ids = {name: number for number, name in enumerate(self.names)}
            return [[ids[name] for name in answer.hypotheses[0]] for answer in answers]
        answers = self.engine.generate_batch(
            rows, max_length=new, min_length=new, include_prompt_in_result=False, **common
        )
        return [list(answer.sequences_ids[0]) for answer in answers]


class Genai(DecodingContender):
    """onnxruntime-genai on the graph of its own builder; its threads are the session's."""

    environment = "genai"
    file = "genai"

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        return [{"threads": threads} for threads in sorted({1, CPUS})]

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(folder, precision)
        self.models: dict[int, Any] = {}

    def prepare(self, settings: Settings, case: Case) -> None:
        self.og = import_module("onnxruntime_genai")
        self.case, threads = case, settings.get("threads", CPUS)
        if threads not in self.models:
            config = self.og.Config(str(self.folder / f"{self.file}-{self.precision}"))
            session = {"session_options": {"intra_op_num_threads": threads}}
            config.overlay(json.dumps({"model": {"decoder": session}}))
            self.models[threads] = self.og.Model(config)
        self.model = self.models[threads]

    def run(self, prompts: Tokens) -> Tokens:
        import numpy as np

        case, shape = self.case, self.shape
        parameters = self.og.GeneratorParams(self.model)
        search: dict[str, Any] = {
            "max_length": shape.prompt + shape.new,
            "batch_size": len(prompts),
            "do_sample": case.sampled,
        }
        if case.sampled:
            search |= {"top_k": TOP_K, "top_p": TOP_P}
        parameters.set_search_options(**search)
        generator = self.og.Generator(self.model, parameters)
        generator.append_tokens(np.array(prompts, np.int32))
        while not generator.is_done():
            generator.generate_next_token()
        return [
            [int(token) for token in generator.get_sequence(row)[shape.prompt :]]
            for row in range(len(prompts))
        ]


class Nlplug(DecodingContender):
    """Our decoding layer; a batch is shared between the sessions."""

    file = "nlplug"

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(folder, precision)
        self.sessions: dict[tuple[int, int], list[Any]] = {}
        self.pool = ThreadPoolExecutor(CPUS)

    @classmethod
    def sweep(cls, case: Case) -> list[Settings]:
        return crews(case)

    def open(self, threads: int) -> Any:
        """The model, loaded."""
        from nlplug.runtime.decoding.open import open_decoder, open_encoder_decoder

        folder = self.folder / f"{self.file}-{self.precision}"
        if self.shape.end is None:
            return open_decoder(folder / "model.onnx", threads=threads)
        return open_encoder_decoder(
            folder / "encoder_model.onnx", folder / "decoder_model_merged.onnx", threads=threads
        )

    def prepare(self, settings: Settings, case: Case) -> None:
        self.case = case
        key = settings.get("sessions", 1), settings.get("threads", 1)
        if key not in self.sessions:
            self.sessions[key] = [self.open(key[1]) for _ in range(key[0])]
        self.crew = self.sessions[key]

    def run(self, prompts: Tokens) -> Tokens:
        from nlplug.runtime.decoding.generate import generate
        from nlplug.runtime.decoding.options import DecodingOptions

        case = self.case
        sampling: dict[str, Any] = {}
        if case.sampled:
            sampling = {"do_sample": True, "top_k": TOP_K, "top_p": TOP_P, "seed": 1}
        options = DecodingOptions(max_new_tokens=self.shape.new, num_beams=case.beams, **sampling)
        parts = shares(prompts, len(self.crew))
        if len(parts) == 1:
            answers = generate(self.crew[0], prompts, options)
        else:
            jobs = [
                self.pool.submit(generate, session, part, options)
                for session, part in zip(self.crew, parts, strict=False)
            ]
            answers = [texts for job in jobs for texts in job.result()]
        return [texts[0].tokens for texts in answers]


def entries(shape: str, extra: dict[str, Entry] | None = None) -> dict[str, Entry]:
    """The contenders for one shape, in the order of the table's rows."""
    common = {
        "transformers": Entry(Transformers, shape),
        "optimum": Entry(Optimum, shape),
        "ctranslate2-fp32": Entry(CTranslate2, shape),
        "ctranslate2-int8": Entry(CTranslate2, shape, "int8"),
        **(extra or {}),
        "nlplug-fp32": Entry(Nlplug, shape),
        "nlplug-int8": Entry(Nlplug, shape, "int8"),
        "nlplug-int8-blocks": Entry(Nlplug, shape, "int8-blocks"),
    }
    return {f"{shape}-{name}": entry for name, entry in common.items()}


GPT2 = entries("gpt2")
LLAMA = entries("llama", {"genai-int8": Entry(Genai, "llama", "int8")})
MARIAN = entries("marian")
