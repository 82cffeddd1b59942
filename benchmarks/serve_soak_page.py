"""The page of ``serve_soak.py``'s results."""

from __future__ import annotations

from typing import Any


def markdown(found: dict[str, Any]) -> str:
    """The result as a page."""
    chats, left, after = found["soak"], found["cancel"], found["soak"]["after_delete"]
    rows = "\n".join(
        f"| {one['chats']} | {one['rss_mib']} | {one['open_files']} | {one['threads']} | {one['uploads']} "
        f"| {one['temporary_files']} |" for one in chats["samples"][:: max(1, len(chats["samples"]) // 10)]
    )  # fmt: skip
    return f"""# Server soak

`{found["command"]}`, engine `{found["engine"]}` ({found["model"]}), {found["machine"]["cpu"]}, {found["date"]}, load
{found["load_before"]} before and {found["load_after"]} after (other programs ran on the machine).

{chats["chats"]} chats of {found["tokens"]} tokens, {found["clients"]} at a time, in {chats["seconds"]} s
({chats["cpu_seconds"]} s of processor time): half Arabic, half streamed, half with a picture.

| chats | memory of server and children, MiB | open files | threads | uploads | temporary files |
|---|---|---|---|---|---|
{rows}

- Memory after the first fifth {chats["rss_first_fifth_mib"]} MiB, at the end {chats["rss_end_mib"]} MiB (highest
  {chats["rss_highest_mib"]}); fitted growth {chats["growth_mib_per_100_chats"]} MiB per 100 chats.
- After `DELETE /v1/data`: {after["uploads"]} uploads, {after["temporary_files"]} temporary files.
- {left["clients"]} clients that leave after the first word of an answer of up to 2,048 tokens: the engine is idle
  after {left["idle_after_p50_s"]} s (median), {left["idle_after_p95_s"]} s (95 %), {left["idle_after_longest_s"]} s
  (longest), asked for through `/metrics`; memory {left["before"]["rss_mib"]} MiB before and
  {left["after"]["rss_mib"]} MiB after, open files {left["before"]["open_files"]} and {left["after"]["open_files"]},
  threads {left["before"]["threads"]} and {left["after"]["threads"]}; {left["in_flight"]:.0f} requests left in flight.
"""
