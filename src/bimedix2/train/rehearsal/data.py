"""A few dozen bilingual samples about drawn pictures, for rehearsals: what is asked can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from bimedix2.records.schema import ImageRef, Language, Record, Task, Turn

LANGUAGES: tuple[Language, ...] = ("en", "ar")
_Text = dict[Language, str]
_SHAPES: tuple[_Text, ...] = (
    {"en": "circle", "ar": "دائرة"},
    {"en": "square", "ar": "مربع"},
    {"en": "triangle", "ar": "مثلث"},
)
_COLOURS: tuple[tuple[tuple[int, int, int], _Text], ...] = (
    ((220, 40, 40), {"en": "red", "ar": "أحمر"}),
    ((40, 180, 60), {"en": "green", "ar": "أخضر"}),
    ((50, 80, 230), {"en": "blue", "ar": "أزرق"}),
    ((230, 210, 40), {"en": "yellow", "ar": "أصفر"}),
)
_SIDES: tuple[_Text, ...] = ({"en": "left", "ar": "يسار"}, {"en": "right", "ar": "يمين"})
_ASK: dict[str, _Text] = {
    "shape": {"en": "What shape is shown?", "ar": "ما الشكل الظاهر؟"},
    "colour": {"en": "What colour is it?", "ar": "ما لونه؟"},
    "side": {"en": "On which side is it?", "ar": "في أي جهة هو؟"},
}
_TEXT_ONLY: tuple[tuple[_Text, _Text], ...] = (
    ({"en": "How many lungs are there?", "ar": "كم عدد الرئتين؟"}, {"en": "two", "ar": "اثنتان"}),
    ({"en": "Which organ pumps blood?", "ar": "أي عضو يضخ الدم؟"}, {"en": "the heart", "ar": "القلب"}),
    ({"en": "Do bones show on an x-ray?", "ar": "هل تظهر العظام في الأشعة؟"}, {"en": "yes", "ar": "نعم"}),
    ({"en": "Is air white on an x-ray?", "ar": "هل الهواء أبيض في الأشعة؟"}, {"en": "no", "ar": "لا"}),
)
_WHICH: _Text = {"en": "Which picture is red?", "ar": "أي صورة حمراء؟"}
_ORDER: tuple[_Text, _Text] = ({"en": "the first", "ar": "الأولى"}, {"en": "the second", "ar": "الثانية"})
_SIDE = 64


def rehearsal_records(folder: Path) -> tuple[list[Record], list[Record]]:
    """Draw the pictures into ``folder`` and return (records to train on, held-out records about other pictures).

    24 pictures (3 shapes, 4 colours, 2 sides); of every eighth, 3 in all, the questions are held out. Each sample
    comes in English and Arabic with one ``pair_id``. To train on there are also samples without a picture and
    with two pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    train: list[Record] = []
    held_out: list[Record] = []
    for index, (shape, colour, side) in enumerate(product(range(3), range(4), range(2))):
        name = f"{index:02d}.png"
        _draw(shape, _COLOURS[colour][0], side).save(folder / name)
        answers = {"shape": _SHAPES[shape], "colour": _COLOURS[colour][1], "side": _SIDES[side]}
        target = held_out if index % 8 == 5 else train
        for kind, answer in answers.items():
            target.extend(_pair(f"{index:02d}-{kind}", _ASK[kind], answer, (name,)))
    for index, (question, answer) in enumerate(_TEXT_ONLY):
        train.extend(_pair(f"text-{index}", question, answer, ()))
    for index, (first, second) in enumerate((("00", "02"), ("04", "01"), ("08", "03"), ("06", "09"))):
        # Pictures 00, 01, 08 and 09 are red: eight pictures a shape, two a colour.
        answer = _ORDER[0 if first in ("00", "08") else 1]
        train.extend(_pair(f"two-{index}", _WHICH, answer, (f"{first}.png", f"{second}.png")))
    return train, held_out


def texts(records: list[Record]) -> Iterator[str]:
    """Every turn's text, for a tokenizer to learn from."""
    for record in records:
        yield from (turn.text for turn in record.turns)


def _pair(name: str, question: _Text, answer: _Text, pictures: tuple[str, ...]) -> Iterator[Record]:
    for language in LANGUAGES:
        shown = tuple(range(len(pictures)))
        task: Task = "vqa" if pictures else "qa"
        yield Record(
            id=f"{name}-{language}",
            turns=(
                Turn(role="user", text=question[language], language=language, images=shown),
                Turn(role="assistant", text=answer[language], language=language),
            ),
            images=tuple(ImageRef(path=picture) for picture in pictures),
            task=task,
            modality="other" if pictures else "text",
            source="rehearsal",
            licence="CC0-1.0",
            pair_id=name,
        )


def _draw(shape: int, colour: tuple[int, int, int], side: int) -> Any:
    """A shape in the left or right half of a dark square."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (_SIDE, _SIDE), (12, 12, 12))
    pen = ImageDraw.Draw(picture)
    left, top, size = 4 + side * _SIDE // 2, 20, 24
    box = (left, top, left + size, top + size)
    if shape == 0:
        pen.ellipse(box, fill=colour)
    elif shape == 1:
        pen.rectangle(box, fill=colour)
    else:
        pen.polygon(((left, top + size), (left + size // 2, top), (left + size, top + size)), fill=colour)
    return picture
