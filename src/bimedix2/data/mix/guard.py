"""No mix without a comparison with the test sets: a report of each input's very bytes, or a comparison now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from bimedix2.cache import sha256_file
from bimedix2.data.decontaminate.find import Offence
from bimedix2.data.decontaminate.run import decontaminate, offences_path
from bimedix2.data.decontaminate.run import report_path as decontamination_path
from bimedix2.data.decontaminate.wording import reason_texts
from bimedix2.data.quarantine import Reason
from bimedix2.errors import DataError

from .facts import Input
from .settings import MixSettings, Tell

_SHOWN = 10


@dataclass(frozen=True)
class Guarded:
    """Inputs that may be mixed.

    Attributes:
        files: to read: the inputs, or clean copies of them.
        about: one entry an input for the report.
        reasons: why records were left out of the copies.
    """

    files: tuple[Input, ...]
    about: tuple[dict[str, Any], ...]
    reasons: tuple[Reason, ...] = ()


def by_reports(settings: MixSettings) -> Guarded:
    """The inputs, if a report beside each says that these very bytes hold no test item.

    Raises:
        DataError: ``not_decontaminated``: a report is missing, damaged or of other bytes; ``contaminated``: it tells of
            test items; ``unreadable_images``: it could not compare images.
    """
    return Guarded(plain(settings.inputs), tuple(_reported(path) for path in settings.inputs))


def plain(paths: Sequence[Path]) -> tuple[Input, ...]:
    """Inputs that are read themselves."""
    return tuple(Input(path, path) for path in paths)


def _reported(path: Path) -> dict[str, Any]:
    place, own = decontamination_path(path, None), sha256_file(path)
    try:
        content = json.loads(place.read_bytes())
        clean_copy = content.get("out", {}).get("sha256") == own
        if not clean_copy and content["mix"]["sha256"] != own:
            raise _missing(
                path, f"{place} is about another state of the file", f"التقرير {place} عن حالة أخرى من الملف"
            )
        offending, unreadable = int(content["offending_records"]), int(content["unreadable_images"])
        about = {
            "input": str(path), "sha256": own, "report": str(place), "date": content["date"],
            "test_sets": [str(one["name"]) for one in content["test_sets"]],
            "images_compared": bool(content["settings"]["images"]), "offending_records": offending,
            "left_out": offending + unreadable if clean_copy else 0,
        }  # fmt: skip
    except FileNotFoundError:
        raise _missing(path, f"there is no {place.name} beside it", f"لا يوجد {place.name} بجانبه") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _missing(path, f"{place} cannot be read ({error!r})", f"تعذرت قراءة {place}") from error
    if not clean_copy and offending:
        raise _contaminated(path, offending, offences_path(place))
    if not clean_copy and unreadable:
        raise DataError(
            f"{path}: {unreadable} records have images that were not compared with the test sets. Mix with "
            "--decontaminate --data FOLDER, or leave the records out with --drop.",
            f"{path}: لم تقارن صور {unreadable} سجل بمجموعات الاختبار. اخلط بالخيارين --decontaminate --data FOLDER أو "
            "اترك السجلات بالخيار --drop.",
            code="unreadable_images",
        )
    return about


def _missing(path: Path, why: str, why_ar: str) -> DataError:
    return DataError(
        f"{path} was not compared with the test sets: {why}. Add --decontaminate, or run: bimedix2 data decontaminate "
        f"{path}",
        f"لم يقارن {path} بمجموعات الاختبار: {why_ar}. أضف --decontaminate أو شغل: bimedix2 data decontaminate {path}",
        code="not_decontaminated",
    )


def _contaminated(path: Path, count: int, listed: Path) -> DataError:
    shown = [(one, reason_texts(one)) for one in _offences(listed, _SHOWN)]
    english = "\n".join(f"  row {one.row}, {one.id}: {texts[0]}" for one, texts in shown)
    arabic = "\n".join(f"  الصف {one.row}، {one.id}: {texts[1]}" for one, texts in shown)
    return DataError(
        f"{path}: {count} records are test items and must not be trained on; {listed} lists them. Leave them out with "
        f"--decontaminate --drop.\n{english}",
        f"{path}: {count} من السجلات عناصر اختبار لا يجوز التدريب عليها؛ يسردها {listed}. اتركها بالخيارين "
        f"--decontaminate --drop.\n{arabic}",
        code="contaminated",
    )


def _offences(path: Path, most: int) -> Iterator[Offence]:
    """The first offences of a list; none where it is missing or damaged: their number is known without it."""
    try:
        with path.open("rb") as file:
            for line, _ in zip(file, range(most), strict=False):
                yield msgspec.json.decode(line, type=Offence)
    except (OSError, msgspec.MsgspecError):
        return


def compared(settings: MixSettings, work: Path, tell: Tell) -> Guarded:
    """Compare each input with the test sets now; translations inherit from originals in the other inputs.

    Args:
        settings: with ``contamination`` ``refuse`` or ``drop``.
        work: folder for clean copies.
        tell: takes progress.

    Raises:
        DataError: ``contaminated`` or ``unreadable_images``, unless they are dropped; the offences are listed.
    """
    files: list[Input] = []
    about: list[dict[str, Any]] = []
    reasons: list[Reason] = []
    drop = settings.contamination == "drop"
    for number, path in enumerate(settings.inputs):
        tell(f"Comparing {path} with the test sets", f"مقارنة {path} بمجموعات الاختبار")
        others = [other for other in settings.inputs if other != path]
        asked = replace(settings.decontaminate, drop=drop, parents=[*settings.decontaminate.parents, *others])
        clean = work / f"clean-{number}.jsonl" if drop else None
        place = _report_of(settings, path, number)
        content = decontaminate(path, clean, asked, place, tell)
        own = _reasons(work / f"clean-{number}.quarantine.jsonl") if drop else []
        files.append(Input(clean or path, path, frozenset(reason.row for reason in own)))
        reasons += own
        about.append(
            {
                "input": str(path), "sha256": content["mix"]["sha256"], "report": str(place),
                "date": content["date"], "test_sets": [str(one["name"]) for one in content["test_sets"]],
                "images_compared": asked.images, "offending_records": content["offending_records"],
                "left_out": content["mix"]["records"] - content["out"]["records"] if drop else 0,
            }
        )  # fmt: skip
    return Guarded(tuple(files), tuple(about), tuple(reasons))


def _report_of(settings: MixSettings, path: Path, number: int) -> Path:
    """``mix.jsonl`` from ``a.jsonl`` has ``mix.a.decontamination.json``; inputs of one name are numbered."""
    same = [other.stem for other in settings.inputs].count(path.stem) > 1
    name = f"{path.stem}-{number}" if same else path.stem
    return settings.out.with_name(f"{settings.out.stem}.{name}.decontamination.json")


def _reasons(path: Path) -> list[Reason]:
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return [msgspec.json.decode(line, type=Reason) for line in file]
