"""The page of ``serve_nano.py``'s results."""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "wall_s": "wall s",
    "cpu_s": "CPU s",
    "tokens_per_s": "tokens/s",
    "tokens_per_cpu_s": "tokens/CPU s",
    "first_text_p50_s": "first text p50 s",
    "first_text_p95_s": "p95 s",
    "peak_mb": "peak MB",
    "cpu_times_engine": "CPU against engine",
    "same_text_as_engine": "same text of 8",
}


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    own = result["machine"]
    lines = [
        "# Serving nano: eight chats at a time",
        "",
        f"{own['cpu']}, {own['threads']} thread, torch {own['torch']}, transformers {own['transformers']}, "
        f"{own['date']}. Shared machine, both cores contended: compare processor seconds. {result['rounds']} "
        "interleaved rounds, medians, each side in a process of its own; eight prompts that arrive together (four "
        f"Arabic; four with a picture of their own), {result['tokens_each']} tokens each, cold caches.",
        "",
        f"    {own['command']}",
        "",
        "| | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for name, row in result["sides"].items():
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(str(row[key]) for key in COLUMNS) + " |")
    second, cancel = result["second_question"], result["cancel_s"]
    engine, peer = cancel["engine_8_at_once"], cancel["transformers_serve"]
    lines += [
        "",
        f"Giving up one of eight running answers frees its place in the engine in {engine['p50']} s (median of 5; "
        f"longest {engine['max']} s). `transformers serve` is idle {peer['p50']} s (longest {peer['max']} s) after the "
        "connection of its only answer is closed. First text about a new image after "
        f"{second['first_text_new_image_s']} s, about a known one after {second['first_text_known_image_s']} s "
        f"({second['reused_tokens']} of {second['prompt_tokens']} prompt tokens reused).",
        "",
        "- `transformers serve` is asked over HTTP with PNG data addresses, so its seconds include HTTP, decoding and "
        "the chat template; the other sides are called in their process. It runs transformers' own command; nano's "
        "class is registered first and its processor counts folded patches (`serve_nano_peer.py`). It answers one "
        "request at a time: its continuous batching is for text models.",
        "- The engine's peak memory is the figure after all rounds, its 8-bit copy of the head (168 MB) and its prefix "
        "cache included.",
        "- In bfloat16 sums of another order round differently, so long greedy answers can part at a near tie; in "
        "float32 they are the same (tests/serve/test_batching_equality.py, test_batching_nano.py).",
        "- First text of a padded batch is its end: transformers streams one sequence only.",
        *(f"- {note}" for note in result.get("notes", ())),
        "",
    ]
    return "\n".join(lines)
