"""The page of ``data_scale.py``'s results."""

from __future__ import annotations

from typing import Any


def told(result: dict[str, Any]) -> str:
    """Markdown of everything that was measured."""
    lines = [
        "# The data line by number of records", "",
        f"{result['machine']} (load {result['load']:.1f} at the start), Python "
        f"{result['python']}, bimedix2 {result['version']}. CPU seconds of the process and its workers, one run each; "
        "compare ratios.", "", result.get("note", ""), "",
    ]  # fmt: skip
    return (
        "\n".join([*lines, *_line(result["line"], result["slow_most"]), *_peers(result), *_runners(result["runners"])])
        + "\n"
    )


def _line(rows: list[dict[str, Any]], slow_most: int) -> list[str]:
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    steps = list(dict.fromkeys(row["step"] for row in rows))
    found = {(row["step"], row["size"]): row for row in rows}
    lines = ["## Each step on one core", "", "Records a CPU second / peak memory (MB) without pages of files."]
    lines += [f"`check` and `phi` were run up to {slow_most:,} records.", ""]
    lines += ["| step | " + " | ".join(f"{size:,}" for size in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for step in steps:
        cells = [_cell(found.get((step, size))) for size in sizes]
        lines.append(f"| {step} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(row: dict[str, Any] | None) -> str:
    return f"{row['records'] / max(row['cpu_s'], 0.01):,.0f} / {row['peak_mb']}" if row else "not run"


def _peers(result: dict[str, Any]) -> list[str]:
    if not result["peers"]:
        return []
    ours = {(row["step"], row["size"]): row for row in result["line"]}
    lines = ["## Beside plain Python and polars", "", "CPU seconds / peak memory (MB). The others check nothing, keep "]
    lines[-1] += (
        "no provenance, give no reasons, and find equal texts only; both hold the whole file in memory or its keys."
    )
    lines += ["", "| step | records | ours | plain Python | polars |", "|---|---|---|---|---|"]
    pairs = dict.fromkeys((row["step"], row["size"]) for row in result["peers"])
    for step, size in pairs:
        others = {row["tool"]: row for row in result["peers"] if (row["step"], row["size"]) == (step, size)}
        cells = [_seconds(row) for row in (ours.get((step, size)), others.get("python"), others.get("polars"))]
        lines.append(f"| {step} | {size:,} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _seconds(row: dict[str, Any] | None) -> str:
    return f"{row['cpu_s']:,.1f} / {row['peak_mb']}" if row else ""


def _runners(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    lines = [
        f"## Runners, {rows[0]['size']:,} records",
        "",
        "Memory of all processes together. Ray's own are among them; ",
    ]
    lines[-1] += "its start is not in the seconds."
    lines += [
        "",
        "| step | runner | CPU s | wall s | records/s | MB | SHA-256 of the records |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        speed = f"{row['records'] / row['wall_s']:,.0f}"
        name = f"{row['runner']}, {row['workers']} process{'es' if row['workers'] > 1 else ''}"
        values = (
            row["step"],
            name,
            row.get("cpu_s", "–"),
            row["wall_s"],
            speed,
            row.get("peak_mb", "–"),
            row["sha256"][:12],
        )
        lines.append("| " + " | ".join(map(str, values)) + " |")
    return [*lines, ""]
