"""One line of a conversation at a time: commands, questions, and Ctrl-C that stops the answer only."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bimedix2.errors import BiMediX2Error

from ._errors import report
from ._terminal import AnswerPrinter, say, tell

if TYPE_CHECKING:
    from bimedix2.inference.answer import AnswerLanguage
    from bimedix2.inference.assistant import Assistant
    from bimedix2.inference.chat import Chat
    from bimedix2.inference.config import GenerationConfig

COMMANDS = {
    "image": ("/image", "/صورة"),
    "save": ("/save", "/حفظ"),
    "new": ("/new", "/جديد"),
    "lang": ("/lang", "/لغة"),
    "help": ("/help", "/مساعدة"),
    "quit": ("/quit", "/exit", "/خروج"),
}
_LANGUAGES = {"auto": "auto", "en": "en", "ar": "ar", "تلقائي": "auto", "إنجليزي": "en", "عربي": "ar"}
HELP = """/image PATH     show an image with the next question      /صورة
/save FILE      save the conversation                     /حفظ
/new            start over                                /جديد
/lang en|ar|auto  language of the answers                 /لغة
/help           this list                                 /مساعدة
/quit           leave (Ctrl-D too)                        /خروج
Ctrl-C stops the answer being written.
يوقف Ctrl-C كتابة الإجابة فقط."""


class Repl:
    """State of one conversation in the terminal.

    Args:
        assistant: answers.
        conversation: possibly resumed from a file.
        config: generation settings.
        lang: language of the answers.
    """

    def __init__(self, assistant: Assistant, conversation: Chat, config: GenerationConfig, lang: str) -> None:
        self.assistant, self.conversation, self.config, self.lang = assistant, conversation, config, lang
        self.pending: list[str] = []

    def handle(self, line: str) -> bool:
        """Carry out a command or answer a question; False ends the conversation."""
        try:
            if line.startswith("/"):
                return self._command(line)
            self._answer(line)
        except (BiMediX2Error, OSError) as error:
            from ._errors import as_known

            report(as_known(error))
        return True

    def _command(self, line: str) -> bool:
        word, _, rest = line.partition(" ")
        name = next((name for name, words in COMMANDS.items() if word in words), None)
        rest = rest.strip()
        if name == "quit":
            return False
        if name == "image" and rest:
            self._image(rest)
        elif name == "save" and rest:
            self.conversation.save(Path(rest))
            tell(f"Saved {rest}.", f"حفظت المحادثة في {rest}.")
        elif name == "new":
            self._new()
        elif name == "lang" and rest in _LANGUAGES:
            self.lang = _LANGUAGES[rest]
            tell(f"Answers: {self.lang}.", f"لغة الإجابات: {self.lang}.")
        else:
            say(HELP if name == "help" else f"? {line}\n{HELP}")
        return True

    def _image(self, path: str) -> None:
        from .ask import in_language

        # Decoded now, so that a bad file is refused at once and not with the next question.
        (image,) = self.assistant.decode_images([path])
        self.pending.append(path)
        height, width = image.pixels.shape[:2]
        tell(
            f"Image {path} ({width} x {height}) goes with the next question.",
            f"سترفق الصورة {path} ({width} x {height}) بالسؤال التالي.",
        )
        for warning in image.warnings:
            tell(f"! {in_language(warning, 'en')}", f"! {in_language(warning, 'ar')}")

    def _new(self) -> None:
        """Start over; the old conversation stays in its file, and the new one is not saved over it."""
        from bimedix2.inference.chat import Chat

        kept = self.conversation.path
        self.conversation = Chat(self.assistant)
        self.pending = []
        tell("New conversation.", "محادثة جديدة.")
        if kept is not None:
            tell(
                f"{kept} keeps the old one; /save FILE saves this one.",
                f"يبقى {kept} للمحادثة السابقة؛ احفظ هذه بالأمر /حفظ.",
            )

    def _answer(self, text: str) -> None:
        from bimedix2.text import language_of

        from .ask import print_footer

        lang = cast("AnswerLanguage", self.lang)
        stream = self.conversation.stream(text, self.pending, lang=lang, config=self.config)
        printer = AnswerPrinter(rtl=(language_of(text) if lang == "auto" else lang) == "ar")
        with _stop_on_interrupt() as stopped:
            for piece in stream:
                printer.push(piece)
                if stopped.is_set():
                    stream.close()
                    break
        printer.close()
        if stream.answer is None:
            tell("Stopped; this turn is not kept.", "توقفت الإجابة؛ لن يحفظ هذا الدور.")
            return
        self.pending = []
        print_footer(stream.answer)


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; a second one interrupts as usual.

    The event is looked at between two pieces of text, so no cache is left half-written.
    """
    event = threading.Event()

    def handler(_signal: int, _frame: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
