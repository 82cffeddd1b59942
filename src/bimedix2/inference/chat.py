"""A conversation of many turns that can be saved and taken up again."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import BiMediX2Error
from bimedix2.records import ImageRef, Record, Turn, read_jsonl, write_jsonl

from .answer import Answer, AnswerLanguage, Stream, user_turn
from .config import GenerationConfig

if TYPE_CHECKING:
    from .assistant import Assistant


class Chat:
    """Turns so far, with images that may come at any turn.

    Args:
        assistant: answers.
        path: JSON-lines file of one record; read if it exists, written after every answer.
    """

    def __init__(self, assistant: Assistant, path: Path | None = None) -> None:
        self.assistant, self.path = assistant, path
        self.turns: list[Turn] = []
        self.images: list[ImageRef] = []
        self._decoded: list[Any] = []
        if path is not None and path.exists():
            self._load(path)

    def send(
        self,
        text: str,
        images: Sequence[str | Path] = (),
        *,
        lang: AnswerLanguage = "auto",
        config: GenerationConfig | None = None,
    ) -> Answer:
        """Say something and get the answer."""
        stream = self.stream(text, images, lang=lang, config=config)
        for _ in stream:
            pass
        assert stream.answer is not None
        return stream.answer

    def stream(
        self,
        text: str,
        images: Sequence[str | Path] = (),
        *,
        lang: AnswerLanguage = "auto",
        config: GenerationConfig | None = None,
    ) -> Stream:
        """Like :meth:`send`, piece by piece. A turn that fails, is closed early or gets an empty
        answer leaves the chat as it was."""
        decoded = self.assistant.decode_images([str(path) for path in images])
        turn, target = user_turn(text, len(images), lang, first_image=len(self.images))
        refs = [ImageRef(path=str(Path(path).resolve())) for path in images]
        inner = self.assistant.stream_turns([*self.turns, turn], [*self._decoded, *decoded], target, config)
        return Stream(self._follow(inner, turn, refs, decoded))

    def _follow(
        self, inner: Stream, turn: Turn, refs: list[ImageRef], decoded: Sequence[Any]
    ) -> Generator[str | Answer]:
        yield from inner
        answer = inner.answer
        assert answer is not None
        if answer.text:  # a record holds no empty turns, and a template makes no sense of one
            self.images.extend(refs)
            self._decoded.extend(decoded)
            self.turns += [turn, Turn(role="assistant", text=answer.text, language=answer.language)]
            if self.path is not None:
                self.save(self.path)
        yield answer

    def save(self, path: Path) -> None:
        """Write the conversation as one record."""
        record = Record(
            id="chat",
            turns=tuple(self.turns),
            images=tuple(self.images),
            task="dialogue",
            modality="other" if self.images else "text",
            source="chat",
            licence="unlicensed",
        )
        write_jsonl(path, [record])

    def _load(self, path: Path) -> None:
        records = list(read_jsonl(path))
        if len(records) != 1:
            raise BiMediX2Error(
                f"{path} holds {len(records)} conversations; a chat file holds one. Choose another file.",
                f"يحتوي {path} على {len(records)} من المحادثات، وملف المحادثة يحتوي على واحدة. اختر ملفا آخر.",
                code="bad_chat_file",
            )
        self.turns, self.images = list(records[0].turns), list(records[0].images)
        self._decoded = self.assistant.decode_images([image.path for image in self.images])
