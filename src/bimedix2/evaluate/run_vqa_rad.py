"""Ask a model the held-out questions of VQA-RAD; every prediction is kept, so a run can be taken up again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from bimedix2.errors import ConfigError
from bimedix2.records.schema import Language

if TYPE_CHECKING:
    from bimedix2.data.splits import VqaRow
    from bimedix2.inference.assistant import Assistant

Say = Callable[[str], None]
_MAX_TOKENS = 48


@dataclass(frozen=True)
class RunOptions:
    """What to ask.

    Attributes:
        model: names the model and its weights; predictions of another one are never reused.
        split: ``dev_question`` or ``dev_image``.
        languages: languages to ask in.
        shuffle_images: control: every question gets another question's image.
        limit: only the first questions of the split.
        batch: questions per batch.
    """

    model: str
    split: Literal["dev_question", "dev_image"] = "dev_question"
    languages: tuple[Language, ...] = ("en", "ar")
    shuffle_images: bool = False
    limit: int | None = None
    batch: int = 8


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One question to ask.

    Attributes:
        key: names question and language.
        question, reference: in ``language``.
        image: path relative to the data root.
        closed: whether the English answer is exactly yes or no.
    """

    key: str
    language: Language
    question: str
    reference: str
    image: str
    closed: bool


class Prediction(Item, frozen=True, kw_only=True):
    """One line of a predictions file: an item, who was asked and what the model said."""

    model: str
    answer: str
    tokens: int


def run_vqa_rad(
    assistant: Callable[[], Assistant], data: Path, options: RunOptions, out: Path | None, say: Say
) -> dict[str, Any]:
    """Ask, store, and score.

    Args:
        assistant: loads the model; not called when every prediction is in ``out`` already.
        data: folder that holds ``vqa_rad/`` and ``vqa_rad_ar/``.
        options: what to ask.
        out: folder for predictions and ``metrics-….json``; ``None`` keeps nothing.
        say: receives progress lines.

    Returns:
        Options, the six metrics per language, and beside them the answers that need no image.
    """
    from bimedix2.data.sources.vqa_rad import split_rows

    splits = split_rows(data)
    items = items_of(splits[options.split], options)
    name = f"{options.split}-shuffled" if options.shuffle_images else options.split
    path = out / f"predictions-{name}.jsonl" if out is not None else None
    predictions = predict(assistant, items, data, options, path, say)
    report = {
        "options": asdict(options),
        "metrics": score(predictions),
        "without_image": without_image(items, items_of(splits["train"], replace(options, limit=None))),
    }
    if out is not None:
        text = json.dumps(report, indent=1, ensure_ascii=False)
        (out / f"metrics-{name}.json").write_text(text, encoding="utf-8")
    return report


def items_of(rows: Sequence[VqaRow], options: RunOptions) -> list[Item]:
    """The questions of a split in each language, with images moved around if the control wants it."""
    rows = rows[: options.limit]
    images = [f"vqa_rad/images/{row.image}" for row in rows]
    if options.shuffle_images:
        images = shuffled(images)
    return [
        Item(
            key=f"{row.qid}:{language}",
            language=language,
            question=row.question if language == "en" else row.question_ar,
            reference=row.answer if language == "en" else row.answer_ar,
            image=image,
            closed=row.closed,
        )
        for language in options.languages
        for row, image in zip(rows, images, strict=True)
    ]


def shuffled(images: Sequence[str]) -> list[str]:
    """The same images in another order, the same every time; none stays in its place if that can be done.

    The distinct images are laid in a circle in the order of their hashes and every question takes the image
    that follows its own: with two or more images no question keeps its own.
    """
    circle = sorted(set(images), key=lambda image: hashlib.sha256(image.encode()).hexdigest())
    following = dict(zip(circle, [*circle[1:], *circle[:1]], strict=True))
    return [following[image] for image in images]


def predict(
    assistant: Callable[[], Assistant],
    items: Sequence[Item],
    data: Path,
    options: RunOptions,
    path: Path | None,
    say: Say,
) -> list[Prediction]:
    """Answers to all items, those in ``path`` taken from there; new ones are added to it batch by batch.

    Raises:
        ConfigError: ``path`` holds predictions of another model, or for other questions or images.
    """
    known = read_predictions(path) if path is not None else {}
    missing = []
    for item in items:
        found = known.get(item.key)
        if found is None:
            missing.append(item)
        elif (found.model, found.question, found.image) != (options.model, item.question, item.image):
            raise ConfigError(
                f"{path} holds another model, question or image for {item.key}. Choose another --out folder.",
                f"يحتوي {path} على نموذج أو سؤال أو صورة أخرى للمعرف {item.key}. اختر مجلدا آخر بالخيار --out.",
            )
    if known:
        say(f"{len(items) - len(missing)} of {len(items)} predictions are in {path}")
    if missing:
        for prediction in _ask(assistant(), missing, data, options, path, say):
            known[prediction.key] = prediction
    return [known[item.key] for item in items]


def _ask(
    model: Assistant, items: Sequence[Item], data: Path, options: RunOptions, path: Path | None, say: Say
) -> Iterable[Prediction]:
    from bimedix2.inference import Question
    from bimedix2.inference.config import GenerationConfig

    config = GenerationConfig(max_new_tokens=_MAX_TOKENS)
    started = time.monotonic()
    for start in range(0, len(items), options.batch):
        part = items[start : start + options.batch]
        questions = [Question(item.question, (str(data / item.image),), item.language) for item in part]
        answers = model.ask_batch(questions, config)
        made = [
            Prediction(**msgspec.structs.asdict(item), model=options.model, answer=answer.text, tokens=answer.tokens)
            for item, answer in zip(part, answers, strict=True)
        ]
        if path is not None:
            append_predictions(path, made)
        done = start + len(part)
        left = (time.monotonic() - started) / done * (len(items) - done)
        say(f"{done}/{len(items)} questions, {left / 60:.1f} min left")
        yield from made


def score(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """The six metrics, their mean and its 95 % interval, per language."""
    from .vqa_metrics import aggregate, bootstrap_interval, score_pair

    result: dict[str, Any] = {}
    for language in dict.fromkeys(prediction.language for prediction in predictions):
        own = [prediction for prediction in predictions if prediction.language == language]
        pairs = [score_pair(prediction.answer, prediction.reference, language) for prediction in own]
        result[language] = aggregate(pairs).to_dict() | {"mean_interval": bootstrap_interval(pairs)}
    return result


def without_image(items: Sequence[Item], training: Sequence[Item]) -> dict[str, dict[str, Any]]:
    """The metrics of answers that need no image: always "no", and the most similar training question's."""
    from .baselines import Known, always_no, blind_lookup
    from .vqa_metrics import score_vqa

    result: dict[str, dict[str, Any]] = {}
    for language in dict.fromkeys(item.language for item in items):
        own = [item for item in items if item.language == language]
        questions, references = [item.question for item in own], [item.reference for item in own]
        known = [Known(item.question, item.reference, item.image) for item in training if item.language == language]
        answers = {
            "always_no": always_no(questions, language),
            "blind_lookup": blind_lookup(known, questions),
        }
        result[language] = {
            name: score_vqa(zip(given, references, strict=True), language).to_dict() for name, given in answers.items()
        }
    return result


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Predictions by key. A last line cut off by a kill is dropped from the file too."""
    if not path.is_file():
        return {}
    whole, _, partial = path.read_bytes().rpartition(b"\n")
    if partial:
        path.write_bytes(whole + b"\n" if whole else b"")
    decoder = msgspec.json.Decoder(Prediction)
    try:
        predictions = [decoder.decode(line) for line in whole.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise ConfigError(
            f"{path} is not a predictions file ({error}). Choose another --out folder.",
            f"{path} ليس ملف إجابات ({error}). اختر مجلدا آخر بالخيار --out.",
        ) from error
    return {prediction.key: prediction for prediction in predictions}


def append_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Add lines at the end of a predictions file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(msgspec.json.encode(prediction) + b"\n" for prediction in predictions))
