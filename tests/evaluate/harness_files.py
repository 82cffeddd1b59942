"""Small prediction files in the exact forms of other harnesses, each with the same rows in our own form."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EN_PROMPT = "Which organ?\nA. Liver\nB. Lung\nC. Heart"
AR_PROMPT = "أي عضو؟\nأ. الكبد\nب. الرئة\nج. القلب"


def write_lines(path: Path, *rows: Any) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_csv(path: Path, *rows: Any) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def lm_eval_choice(number: int, prompt: str, labels: list[str], logprobs: list[float], target: Any, **doc: Any) -> Any:
    """A multiple_choice row of lm-evaluation-harness 0.4.13 (delimiter " ")."""
    pairs = [[str(value), "False"] for value in logprobs]
    return {
        "doc_id": number,
        "doc": doc,
        "target": str(target),
        "arguments": {f"gen_args_{i}": {"arg_0": prompt, "arg_1": f" {label}"} for i, label in enumerate(labels)},
        "resps": [[pair] for pair in pairs],
        "filtered_resps": pairs,
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "doc_hash": "d", "prompt_hash": "p", "target_hash": "t", "acc": 1.0, "acc_norm": 1.0,
    }  # fmt: skip


def lm_eval_text(number: int, prompt: str, reply: str, target: str, kind: str = "none", **doc: Any) -> Any:
    """A generate_until row of lm-evaluation-harness 0.4.13."""
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": ["\n\n"], "max_gen_toks": 64}}},
        "resps": [[reply]],
        "filtered_resps": ["[invalid]" if kind == "strict-match" else reply],
        "filter": kind,
        "metrics": ["exact_match"],
        "doc_hash": "d", "prompt_hash": "p", "target_hash": "t", "exact_match": 0.0,
    }  # fmt: skip


def lmms_eval(number: int, prompt: str, filtered: Any, target: str, **more: Any) -> Any:
    """A row of lmms-eval: the data set's row and the requests are dropped, ``resps`` too where it adds nothing."""
    return {
        "doc_id": number,
        "target": target,
        "filtered_resps": filtered,
        "doc_hash": "d", "prompt_hash": "p", "target_hash": "t", "exact_match": 1.0, "input": prompt, **more,
    }  # fmt: skip


CASES: dict[str, tuple[str, Callable[[Path], Path], list[dict[str, Any]]]] = {
    "lm-eval": (
        "choice",
        lambda folder: write_lines(
            folder / "samples_mmlu_anatomy_2026-11-24T10-00-00.000000.jsonl",
            lm_eval_choice(0, f"Header.\n\n{EN_PROMPT}\nAnswer:", ["A", "B", "C"], [-3.0, -0.5, -2.0], 1),
            lm_eval_choice(1, AR_PROMPT, ["أ", "ب", "ج"], [-1.0, float("-inf"), -2.0], 2, question="أي عضو؟"),
            lm_eval_choice(2, "Abstract: x\nAnswer:", ["yes", "no", "maybe"], [-4.0, -5.0, -4.5], "maybe"),
        ),
        [
            {"id": 0, "prediction": "", "reference": "B", "question": EN_PROMPT,
             "options": {"A": "Liver", "B": "Lung", "C": "Heart"}, "option_logprobs": [-3, -0.5, -2]},
            {"id": 1, "prediction": "", "reference": "ج", "question": "أي عضو؟",
             "options": {"أ": "الكبد", "ب": "الرئة", "ج": "القلب"}, "option_logprobs": [-1, -1e9, -2]},
            {"id": 2, "prediction": "", "reference": "maybe", "question": "Abstract: x\nAnswer:",
             "options": {"yes": "yes", "no": "no", "maybe": "maybe"}, "option_logprobs": [-4, -5, -4.5]},
        ],
    ),
    "lm-eval text": (
        "vqa",
        lambda folder: write_lines(
            folder / "samples_vqa_x.jsonl",
            lm_eval_text(0, "Is it normal?", "Yes, it is.", "yes", "strict-match", answer_type="CLOSED"),
            lm_eval_text(1, "ما العضو؟", "الرئة اليسرى", "الرئة", "strict-match", img_name="a.png"),
            lm_eval_text(0, "Is it normal?", "Yes, it is.", "yes", "flexible-extract", answer_type="CLOSED"),
            lm_eval_text(1, "ما العضو؟", "الرئة اليسرى", "الرئة", "flexible-extract", img_name="a.png"),
        ),
        [
            {"id": 0, "prediction": "Yes, it is.", "reference": "yes", "question": "Is it normal?",
             "answer_type": "closed"},
            {"id": 1, "prediction": "الرئة اليسرى", "reference": "الرئة", "question": "ما العضو؟", "image": "a.png"},
        ],
    ),
    "lmms-eval": (
        "vqa",
        lambda folder: write_lines(
            folder / "20261124_100000_samples_vqa_rad.jsonl",
            lmms_eval(0, "<image>\nIs it normal?", ["no"], "yes"),
            lmms_eval(1, "ما العضو؟", "الرئة", "الرئة اليسرى"),
            lmms_eval(2, "Where is it?", ["left"], "left lung", resps=[["<think>right or left</think>left"]]),
        ),
        [
            {"id": 0, "prediction": "no", "reference": "yes", "question": "Is it normal?"},
            {"id": 1, "prediction": "الرئة", "reference": "الرئة اليسرى", "question": "ما العضو؟"},
            {"id": 2, "prediction": "left", "reference": "left lung", "question": "Where is it?"},
        ],
    ),
    "lmms-eval choice": (
        "choice",
        lambda folder: write_lines(
            folder / "20261124_100000_samples_pmc_vqa.jsonl",
            lmms_eval(0, EN_PROMPT, ["B."], "B"),
            lmms_eval(1, AR_PROMPT, "القلب", "ج"),
            lmms_eval(2, EN_PROMPT, [["-2.5", "False"], ["-0.1", "True"], ["-9.0", "False"]], "0"),
        ),
        [
            {"id": 0, "prediction": "B.", "reference": "B", "question": EN_PROMPT,
             "options": ["Liver", "Lung", "Heart"]},
            {"id": 1, "prediction": "القلب", "reference": "ج", "question": AR_PROMPT,
             "options": ["الكبد", "الرئة", "القلب"]},
            {"id": 2, "prediction": "", "reference": "A", "question": EN_PROMPT, "options": ["Liver", "Lung", "Heart"],
             "option_logprobs": [-2.5, -0.1, -9]},
        ],
    ),
    "medevalkit": (
        "vqa",
        lambda folder: write_lines(
            folder / "results.json",
            json.dumps(
                [
                    {"lang": "en", "answer_type": "CLOSED", "answer": "Yes", "question": "Normal?",
                     "prompt": "Normal? …", "response": "<think>no?</think><answer>yes</answer>", "correct": True},
                    {"lang": "ar", "answer_type": "OPEN", "answer": "الكبد", "question": "ما العضو؟", "prompt": "…",
                     "response": r"\boxed{الكبد}", "correct": False, "metrics": {"em": 1}},
                ],
                ensure_ascii=False, indent=4,
            ),
        ),
        [
            {"id": 1, "prediction": "yes", "reference": "Yes", "question": "Normal?", "answer_type": "closed"},
            {"id": 2, "prediction": "الكبد", "reference": "الكبد", "question": "ما العضو؟", "answer_type": "open"},
        ],
    ),
    "medevalkit choice": (
        "choice",
        lambda folder: write_lines(
            folder / "results.json",
            json.dumps(
                [
                    {"prompt": EN_PROMPT, "answer": "B", "choices": ["A. Liver", "B. Lung"], "response": "It is B."},
                    {"question": "أي؟", "answer": "ب", "choices": {"أ": "الكبد", "ب": "الرئة"}, "response": "الكبد"},
                ]
            ),
        ),
        [
            {"id": 1, "prediction": "It is B.", "reference": "B", "question": EN_PROMPT, "options": ["Liver", "Lung"]},
            {"id": 2, "prediction": "الكبد", "reference": "ب", "question": "أي؟", "options": ["الكبد", "الرئة"]},
        ],
    ),
    "multimedeval": (
        "vqa",
        lambda folder: write_csv(
            folder / "VQA-Rad.csv",
            ["correct", "predicted", "F1", "BLEU", "recall", "correct tokens", "predicted tokens"],
            ["yes", "Yes,\nit is", 0.5, 0.5, 1.0, {"yes"}, {"yes", "it", "is"}],
            ["الرئة", "الرئة", 1.0, 1.0, 1.0, {"الرئة"}, {"الرئة"}],
        ),
        [
            {"id": 1, "prediction": "Yes,\nit is", "reference": "yes"},
            {"id": 2, "prediction": "الرئة", "reference": "الرئة"},
        ],
    ),
    "multimedeval choice": (
        "choice",
        lambda folder: write_csv(
            folder / "MedQA.csv",
            ["C: heart failure", "The answer is C.", "Invalid answer", "c", False],
            ["E: فشل القلب", "الجواب: ب", "Invalid answer", "e", False],
            ["yes", "no, maybe, no", "no", "yes", False],
            ["b: Lung.", "", "Invalid answer", "2", False],
            ["A. Liver.", "(A)", "1", "1", True],
        ),
        [
            {"id": 1, "prediction": "The answer is C.", "reference": "C", "options": dict.fromkeys("ABCDE", "")},
            {"id": 2, "prediction": "الجواب: ب", "reference": "E", "options": dict.fromkeys("ABCDE", ""),
             "language": "ar"},
            {"id": 3, "prediction": "no, maybe, no", "reference": "yes",
             "options": {"yes": "yes", "no": "no", "maybe": "maybe"}},
            {"id": 4, "prediction": "", "reference": "B", "options": dict.fromkeys("ABCD", "")},
            {"id": 5, "prediction": "(A)", "reference": "A", "options": dict.fromkeys("ABCD", "")},
        ],
    ),
    "multimedeval classification": (
        "classification",
        lambda folder: write_csv(
            folder / "MNIST-Retina.csv",
            ["mild (index 1)", "it is mild (index 1)", True],
            ["severe (index 2)", "mild or severe (index 1)", False],
        ),
        [
            {"id": 1, "prediction": "it is mild", "reference": "mild", "options": ["mild", "severe"]},
            {"id": 2, "prediction": "mild or severe", "reference": "severe", "options": ["mild", "severe"]},
        ],
    ),
    "multimedeval report": (
        "report",
        lambda folder: write_csv(
            folder / "MIMIC-CXR Report Generation.csv",
            ["ref", "hyp", "bleu1", "bleu4", "rougeL"],
            ["No effusion, clear lungs.", "Clear lungs.", 0.3, 0.0, 0.5],
            ["لا انصباب جنبي.", "لا انصباب.", 0.3, 0.0, 0.5],
        ),
        [
            {"id": 1, "prediction": "Clear lungs.", "reference": "No effusion, clear lungs."},
            {"id": 2, "prediction": "لا انصباب.", "reference": "لا انصباب جنبي."},
        ],
    ),
}  # fmt: skip
