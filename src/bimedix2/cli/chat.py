"""``bimedix2 chat``: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import _options as o

if TYPE_CHECKING:
    from bimedix2.inference.chat import Chat


def chat(
    model: o.Model = "nano",
    adapter: o.Adapter = None,
    image: o.Images = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Save the conversation here after each answer; resume it if it exists."),
    ] = None,
    lang: o.Lang = o.AnswerLang.auto,
    max_tokens: o.MaxTokens = 256,
    temperature: o.Temperature = 0.0,
    top_p: o.TopP = 1.0,
    repetition_penalty: o.RepetitionPenalty = 1.0,
    stop: o.Stop = None,
    seed: o.Seed = 0,
) -> None:
    """Talk about images over several turns. Type /help inside for its commands.

    محادثة من عدة أدوار حول الصور. اكتب /مساعدة لعرض الأوامر.
    """
    from bimedix2.notice import NOTICE_AR, NOTICE_EN

    from ._repl import Repl
    from ._terminal import say
    from .ask import load_assistant

    config = o.generation(max_tokens, temperature, top_p, repetition_penalty, stop, seed)
    say(f"⚠ {NOTICE_EN}\n⚠ {NOTICE_AR}\n")
    assistant = load_assistant(model, adapter)
    conversation = assistant.chat(history)
    _summarise(conversation)
    say("/help · /مساعدة")
    repl = Repl(assistant, conversation, config, lang.value)
    for path in image or []:
        repl.handle(f"/image {path}")
    _run(repl.handle)


def _summarise(conversation: Chat) -> None:
    """Say what a resumed conversation holds and show its last exchange."""
    from ._terminal import say, tell

    turns = conversation.turns
    if not turns:
        return
    answers, pictures = sum(turn.role == "assistant" for turn in turns), len(conversation.images)
    tell(
        f"Resumed {conversation.path}: {answers} answers, {pictures} images.",
        f"استؤنفت المحادثة {conversation.path}: عدد الإجابات {answers}، عدد الصور {pictures}.",
    )
    for turn in turns[-2:]:
        say(f"{'>' if turn.role == 'user' else '<'} {turn.text}")


def _run(handle: Callable[[str], bool]) -> None:
    """Feed lines to ``handle`` until it returns False or the input ends.

    One Ctrl-C at an empty prompt is forgiven, for it may have been meant for an answer that was just done; a
    second one leaves.
    """
    from ._terminal import tell

    typed = sys.stdin.isatty()
    if typed:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives input() line editing and history
    forgiven = False
    while True:
        try:
            line = input("> ") if typed else sys.stdin.readline()
        except EOFError:
            return
        except KeyboardInterrupt:
            if forgiven:
                raise
            forgiven = True
            tell("\nCtrl-C again or /quit leaves.", "اضغط Ctrl-C مرة أخرى أو اكتب /خروج للمغادرة.")
            continue
        forgiven = False
        if line == "" and not typed:
            return
        if line.strip() and not handle(line.strip()):
            return
