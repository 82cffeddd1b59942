"""What each step's report says; where there is none, the card says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bimedix2.data.reason_words import reason_word

from .blocks import Block, Items, Picture, Section, Table, Text
from .facts import Facts
from .names import Words


def step_sections(facts: Facts, w: Words, pictures: dict[str, Path]) -> list[Section]:
    """One section a step that matters to users, in the order of the line."""
    found = [_line(facts, w)]
    found += [_models(facts, w)] if facts.details("rewrite") or facts.details("translate") else []
    for step, body in (("check", _check), ("review", _review), ("phi", _phi), ("dedup", _dedup)):
        details = facts.details(step)
        found.append(Section(w(step), body(facts, details, w) if details else [_missing(facts, step, w)]))
    if "checks" in pictures:
        found[-4].blocks.append(Picture(pictures["checks"], w("check")))
    found.append(Section(w("decontaminate"), _decontaminate(facts, w)))
    found += [Section(w("mix"), _mix(facts, w))] if facts.details("mix") else []
    return found


def _missing(facts: Facts, step: str, w: Words) -> Block:
    count = max((count for (name, _, _), count in facts.provenance.items() if name == step), default=0)
    return Text(w("only_provenance", count=count) if count else w("missing"))


def _line(facts: Facts, w: Words) -> Section:
    rows = []
    for name, state in facts.states.items():
        if "folder" not in state:
            continue
        told = [_reasons(state[key], w) for key in ("aside", "listed")]
        rows.append((w.step(name), f"{state['rows']['in']:,}", f"{state['rows']['out']:,}", *told))
    if not rows:
        return Section(w("line"), [Text(w("no_line"))])
    head = (w("step"), w("in"), w("out"), w("set_aside"), w("listed"))
    return Section(w("line"), [Text(w("line_note")), Table(head, tuple(rows))])


def _reasons(counts: dict[str, int], w: Words) -> str:
    return w.joined([f"{reason_word(code, w.language)} {count:,}" for code, count in counts.items()]) or "–"


def _models(facts: Facts, w: Words) -> Section:
    lines = []
    for step in ("rewrite", "translate"):
        for name, one in facts.details(step).items():
            models = w.joined([f"{role} {model}" for role, model in one["models"].items()])
            lines.append(f"{name}: {models}; {w('records')} {one['records']:,}")
    return Section(w("llm"), [Items(tuple(lines))])


def _check(facts: Facts, found: dict[str, Any], w: Words) -> list[Block]:
    pairs, failed = found["pairs"], found["failed"]
    encoder = w("check_encoder", name=found["encoder"]) if found["encoder"] else ""
    share = f"{failed / pairs:.1%}" if pairs else "–"
    blocks: list[Block] = [Text(w("check_text", pairs=pairs, failed=failed, share=share, encoder=encoder))]
    blocks.append(Text(w("check_kept" if found["action"] == "report" else "check_dropped")))
    if found["without_original"]:
        blocks.append(Text(w("check_orphans", count=found["without_original"])))
    blocks.append(Text(w("check_unpaired")))
    sources = ((name, f"{one['pairs']:,}", f"{one['failed']:,}") for name, one in found["by_source"].items())
    blocks.append(Table((w("source"), w("count"), w("failed")), tuple(sources)))
    checks = ((w.value(name), f"{count:,}") for name, count in found["by_check"].items())
    blocks.append(Table((w("name_check"), w("failed")), tuple(checks)))
    return blocks


def _review(facts: Facts, found: dict[str, Any], w: Words) -> list[Block]:
    verdicts = {name: found["states"][name] for name in ("accept", "edit", "reject")}
    states = w.joined([f"{w.value(name)} {count:,}" for name, count in verdicts.items()])
    read, lots = sum(verdicts.values()), len(found["strata"])
    if found["reviewers"] == "scripted":
        flow = w("review_flow", read=read, lots=lots, states=states)
        return [Text(w("review_scripted"), strong=True), Text(flow)]
    agreed = found["agreement"]
    figures = {name: "–" if agreed[name] is None else f"{agreed[name]:.3f}" for name in ("equal", "alpha", "ac1")}
    both = w("agreement", items=agreed["items"], **figures) if agreed["items"] else w("no_agreement")
    rows = tuple((one["name"], w(one["state"]), f"{one['size']:,}") for one in found["strata"])
    statements = tuple(one[key][w.language] for one in found["strata"] for key in ("statement", "statement_any"))
    blocks: list[Block] = [Text(w("review_read", read=read, items=found["items"], states=states)), Text(both)]
    blocks += [Table((w("stratum"), w("state"), w("size")), rows), Items(statements)]
    if any(one["state"] == "open" for one in found["strata"]):
        blocks.append(Text(w("review_open"), strong=True))
    return blocks


def _phi(facts: Facts, found: dict[str, Any], w: Words) -> list[Block]:
    action = w(f"phi_{found['action']}")
    blocks: list[Block] = [Text(w("phi_text", hit=found["with_findings"], records=found["records"], action=action))]
    blocks.append(Text(w("phi_images" if found["images_looked_at"] else "phi_no_images")))
    if found["findings"]:
        rows = tuple((w.value(name), f"{count:,}") for name, count in found["findings"].items())
        blocks.append(Table((w("kind"), w("count")), rows))
    return blocks


def _dedup(facts: Facts, found: dict[str, Any], w: Words) -> list[Block]:
    total, action = sum(found["found"].values()), w(f"dedup_{found['action']}")
    return [Text(w("dedup_text", found=total, similarity=f"{found['similarity']:g}", action=action))]


def _decontaminate(facts: Facts, w: Words) -> list[Block]:
    details = facts.details("decontaminate")
    found = details.get("decontamination")
    blocks: list[Block] = []
    if found:
        sets = w.joined([str(one["name"]) for one in found["test_sets"]])
        key = "decontaminate_text" if "folder" in facts.states["decontaminate"] else "decontaminate_beside"
        blocks.append(Text(w(key, sets=sets, found=found["offending_records"])))
        images = "decontaminate_images" if found["settings"]["images"] else "decontaminate_no_images"
        blocks.append(Text(w(images)))
        rows = tuple((str(one["name"]), f"{one['items']:,}", f"{one['images']:,}") for one in found["test_sets"])
        blocks.append(Table((w("test_set"), w("items"), w("images")), rows))
    if details.get("same_question"):
        sets = w.joined([f"{one['source']} ({'+'.join(one['splits'])})" for one in details["same_question"]])
        dropped = facts.states["decontaminate"]["aside"].get("same_question", 0)
        blocks.append(Text(w("same_question", sets=sets, found=dropped)))
    return blocks or [_missing(facts, "decontaminate", w)]


def _mix(facts: Facts, w: Words) -> list[Block]:
    found, shards = facts.details("mix"), facts.details("shard")
    patterns = [f"{one['pattern']} {one['share']:.1%}" for one in found["targets"] if one["pattern"]]
    targets = w("targets", names=w.joined(patterns)) if patterns else w("no_targets")
    blocks: list[Block] = [
        Text(w("mix_text", seed=found["seed"], unit=w.value(found["counted_with"]), targets=targets))
    ]
    if shards:
        rows = facts.states["shard"]["rows"]["out"]
        size = f"{shards['image_bytes'] / 1e6:.1f}"
        blocks.append(Text(w("shard_text", records=rows, images=shards["images"], mb=size, files=shards["files"])))
    return blocks
