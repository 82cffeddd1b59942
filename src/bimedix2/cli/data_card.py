"""``bimedix2 data card``: what a set is and what was done to it, in English and Arabic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(
    source: Annotated[Path, typer.Argument(help="Folder of `data build`, or records: .jsonl or .parquet.")],
    out: Annotated[Path, typer.Option(help="Card (.md); the page .html and pictures go beside it.")] = Path("card.md"),
    name: Annotated[str, typer.Option(help="Name of the set.")] = "",
    name_ar: Annotated[str, typer.Option(help="The same in Arabic.")] = "",
    description: Annotated[str, typer.Option(help="What the set is, in a sentence or two.")] = "",
    description_ar: Annotated[str, typer.Option(help="The same in Arabic.")] = "",
    limit: Annotated[list[str] | None, typer.Option(help="A known limit; may be repeated.")] = None,
    limit_ar: Annotated[list[str] | None, typer.Option(help="The same in Arabic.")] = None,
    plots: Annotated[bool, typer.Option(help="Draw pictures of the counts.")] = True,
) -> None:
    """Write a data card with counts, licences, provenance, checks, review, test sets and limits.

    It claims nothing that the records and the steps' reports do not say; a missing step is said to be missing.

    كتابة بطاقة بيانات باللغتين: الأعداد والتراخيص والمسار والفحوص والمراجعة ومجموعات الاختبار والحدود. لا تدعي ما لا
    تقوله السجلات والتقارير، وتذكر الخطوة الناقصة بأنها ناقصة.
    """
    from bimedix2.data.card import CardSettings, write_card

    from ._terminal import tell

    settings = CardSettings(
        description, description_ar, tuple(limit or ()), tuple(limit_ar or ()), name, name_ar, plots=plots
    )
    count = write_card(source, out, settings, tell)
    typer.echo(f"{count:8d}  {out}")
    typer.echo(f"          {out.with_suffix('.html')}")
