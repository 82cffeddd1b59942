"""The page of ``serve_nano.py``'s results."""

from __future__ import annotations

from typing import Any


def markdown(result: dict[str, Any]) -> str:
    """The result as a page."""
    own = result["machine"]
    lines = [
        "# Serving nano: eight chats at a time",
        "",
        f"{own['cpu']}, {own['threads']} thread(s), torch {own['torch']}, transformers {own['transformers']}, "
        f"{own['date']}. The other cores were busy; compare processor seconds. {result['rounds']} interleaved rounds, "
        f"medians; eight prompts (four Arabic, half with an image of their own), {result['tokens_each']} tokens each, "
        "cold caches.",
        "",
        f"    {own['command']}",
        "",
        "| | wall s | CPU s | tokens/s | tokens/CPU s | first text p50 s | p95 s | CPU against engine | same text |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, ratio in result["cpu_times_engine"].items():
        row = result[name]
        values = " | ".join(str(value) for value in row.values())
        lines.append(f"| {name.replace('_', ' ')} | {values} | {ratio}x | {result['same_text_as_engine'][name]}/8 |")
    second = result["second_question"]
    lines += [
        "",
        f"Giving up one of eight answers frees its place in {result['cancel_s']['p50']} s (median; longest "
        f"{result['cancel_s']['max']} s). First text about a new image after {second['first_text_new_image_s']} s, "
        f"about a known one after {second['first_text_known_image_s']} s ({second['reused_tokens']} of "
        f"{second['prompt_tokens']} prompt tokens reused). Peak memory of the process, all sides in it: "
        f"{result['peak_memory_mb']} MB.",
        "",
        "In bfloat16 sums of another order round differently, so long greedy answers can part at a near tie; in "
        "float32 they are the same (tests/serve/test_batching_equality.py). First text of a padded batch is its end: "
        "transformers streams one sequence only.",
        "",
    ]
    return "\n".join(lines)
