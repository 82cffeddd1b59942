"""``bimedix2 ask``: one question, any number of images, one answer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bimedix2.errors import BiMediX2Error

from . import _options as o

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage
    from bimedix2.inference import Answer, Stream
    from bimedix2.inference.assistant import Assistant


def ask(
    question: Annotated[str | None, typer.Argument(help="The question; - or nothing reads it from stdin.")] = None,
    image: o.Images = None,
    file: Annotated[Path | None, typer.Option(help="Text, such as a report, put before the question.")] = None,
    lang: o.Lang = o.AnswerLang.auto,
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")] = False,
    max_tokens: o.MaxTokens = 256,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = 1.0,
    repetition_penalty: o.RepetitionPenalty = 1.0,
    stop: o.Stop = None,
    seed: o.Seed = 0,
    frame: Annotated[int | None, typer.Option(help="Frame of a multi-frame image, from 0.")] = None,
    window: Annotated[str | None, typer.Option(help="DICOM window CENTRE,WIDTH, such as 40,400.")] = None,
    stream: Annotated[bool, typer.Option(help="Print the answer while it is written.")] = True,
) -> None:
    """Ask a question in Arabic or English about images or a report.

    The answer goes to stdout; the research-use notice, warnings and timings go to stderr.

    اسأل سؤالا بالعربية أو الإنجليزية عن صور أو تقرير.
    """
    config = o.generation(max_tokens, temperature, top_p, repetition_penalty, stop, seed)
    text = _question(question, file, has_image=bool(image))
    started = time.monotonic()
    # Before the model: a bad image should not cost the time that loading takes.
    images = decode(image or [], frame, o.window_option(window))
    decoded = time.monotonic() - started
    assistant = load_assistant(model, adapter)
    loaded = time.monotonic() - started - decoded
    running = assistant.stream(text, images, lang=lang.value, config=config)
    answer = _follow(running, text, lang.value, show=stream and not as_json)
    if as_json:
        typer.echo(_as_json(answer, model, decoded, loaded))
        return
    if not stream:
        from ._terminal import readable

        typer.echo(readable(answer.text))
    print_footer(answer, loaded)


def load_assistant(model: str, adapter: Path | None) -> Assistant:
    """The model, loaded without the chatter of the libraries beneath."""
    import bimedix2

    from ._terminal import quiet_libraries

    quiet_libraries()
    return bimedix2.load(model, adapter=adapter)


def decode(paths: list[str], frame: int | None, window: tuple[float, float] | None) -> list[DecodedImage]:
    """Decode every image in one limited child process."""
    if not paths:
        return []
    from bimedix2.images import load_images
    from bimedix2.records.schema import ImageRef

    return list(load_images([ImageRef(path=path, frame=frame, window=window) for path in paths]))


def _question(argument: str | None, file: Path | None, *, has_image: bool) -> str:
    report = o.read_text(file).strip() if file is not None else ""
    typed = argument
    if argument == "-" or (argument is None and not sys.stdin.isatty()):
        typed = sys.stdin.read()
    text = "\n\n".join(part for part in (report, (typed or "").strip()) if part)
    if not text and not has_image:
        raise BiMediX2Error(
            'There is no question. Try: bimedix2 ask "What is seen?" --image scan.dcm',
            'لا يوجد سؤال. جرب: bimedix2 ask "ماذا يظهر في الصورة؟" --image scan.dcm',
            code="empty_question",
        )
    return text


def _follow(running: Stream, text: str, lang: str, *, show: bool) -> Answer:
    from bimedix2.text import language_of

    from ._terminal import AnswerPrinter

    if show:
        printer = AnswerPrinter(rtl=(language_of(text) if lang == "auto" else lang) == "ar")
        try:
            for piece in running:
                printer.push(piece)
        finally:
            printer.close()
    else:
        for _ in running:
            pass
    assert running.answer is not None
    return running.answer


def _as_json(answer: Answer, model: str, decoded: float, loaded: float) -> str:
    import json
    from dataclasses import asdict

    fields: dict[str, Any] = asdict(answer)
    timings = {"load": loaded, "decode": decoded} | fields.pop("timings")
    rounded = {name: round(value, 4) for name, value in timings.items()}
    return json.dumps({"answer": fields.pop("text"), "model": model, **fields, "timings": rounded}, ensure_ascii=False)


def in_language(warning: str, language: str) -> str:
    """A warning in a language; those about images come in both."""
    translated = getattr(warning, "in_language", None)
    return str(translated(language)) if translated else warning


def print_footer(answer: Answer, loaded: float | None = None) -> None:
    """Warnings, timings and the notice, on stderr and in the answer's language."""
    from ._terminal import say

    for warning in answer.warnings:
        say(f"! {in_language(warning, answer.language)}")
    times, arabic = answer.timings, answer.language == "ar"
    first, total, speed = times.first_token, times.total, times.tokens_per_second
    if arabic:
        line = f"الرمز الأول {first:.2f} ث · المجموع {total:.2f} ث · {answer.tokens} رمزا · {speed:.1f} رمز/ث"
        line += f" · تحميل النموذج {loaded:.2f} ث" if loaded is not None else ""
    else:
        line = f"first token {first:.2f} s · total {total:.2f} s · {answer.tokens} tokens · {speed:.1f} tokens/s"
        line += f" · model loaded in {loaded:.2f} s" if loaded is not None else ""
    if answer.finish_reason == "length":
        line += " · انقطعت الإجابة عند --max-tokens" if arabic else " · cut at --max-tokens"
    say(f"\n[{line}]")
    say(f"⚠ {answer.notice}")
