"""The screen for identifying text: what it finds of planted identities, and what it finds in text that has none.

    python benchmarks/phi_scan.py --data DATA [--out benchmarks/results/phi_scan.json]

Planted: made-up identities between sentences of real reports (Indiana, English) and captions (ROCOv2, Arabic), in two
sets of wordings: ``tuned`` ones, and ``unseen`` ones that were written after the patterns. An identity counts as found
if every character of it lies in a finding of any kind, and as told right if the kind is right too. Clean: Indiana's
reports, which are de-identified; exam questions; captions; VQA-RAD in both languages; TICO-19, whose news texts hold
real dates and names. Beside the screen stand two baselines: numbers alone (any date-like group or five digits in a
row, e-mail) and, for names, two capitalised words in a row.
"""

from __future__ import annotations

import argparse
import csv
import html
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bimedix2.data.privacy.burned_in import has_writing
from bimedix2.data.privacy.text import Found, scan_text
from bimedix2.data.sources._common import asset
from nano_speed import machine

PER_KIND = 200
_NUMBERS = re.compile(r"[\d٠-٩]{1,4}[/.-][\d٠-٩]{1,2}[/.-][\d٠-٩]{1,4}|[\d٠-٩]{5,}|\S+@\S+")
_NAMES = re.compile(r"(?:[A-Z][a-z]+ ){1,2}[A-Z][a-z]+")


class Planted(NamedTuple):
    """A text with one identity in it."""

    kind: str
    text: str
    start: int
    end: int
    seen: bool


FIRST = "John Mary Ahmed Fatima Wei Olga Carlos Priya Tunde Ingrid Hassan Leila Bruno Aisha Sven".split()  # noqa: SIM905
LAST = "Smith Garcia Haddad O'Brien Nguyen Petrova Okafor Al-Masri Jensen Rossi Kowalski Tanaka".split()  # noqa: SIM905
FIRST_AR = "محمد أحمد سعاد فاطمة خالد ليلى يوسف هند مازن رائد جواهر بدرية مشعل وسيم سلوى".split()  # noqa: SIM905
LAST_AR = "العتيبي الحربي الشمري حداد القحطاني المصري الزهراني النجار الخطيب بركات السالم".split()  # noqa: SIM905
MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
MONTHS_AR = "يناير فبراير مارس أبريل مايو يونيو رجب شعبان رمضان شوال آذار نيسان".split()  # noqa: SIM905
_TO_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")

# {} takes the identity. Of each kind the first wordings were used while the patterns were written; the second ones
# were written afterwards, as notes are written in haste, and are used once: patterns are not changed for them.
ENGLISH: dict[str, tuple[list[str], list[str]]] = {
    "name": (
        ["Seen by Dr. {}.", "Patient Name: {}", "Discussed with Mr. {}.", "Dictated by: {}", "Results called to {}."],
        ["Daughter {} at bedside.", "pt {} arrived late", "{} (RN) notified", "Signed, {}", "Per {}, no pain."],
    ),
    "date": (
        ["Compared with {}.", "Exam date: {}", "Admitted on {}.", "DOB {}", "The film of {} is unchanged."],
        ["LMP {}", "{}: improved", "since {} no fever", "scan dated {} reviewed", "d/c {}"],
    ),
    "record_number": (
        ["MRN: {}", "Accession number {}", "Patient ID: {}", "Pt #{}", "Chart {} reviewed."],
        ["hosp no {}", "{} / bed 4", "encounter {}", "Reg. {}", "Folder {}"],
    ),
    "phone": (
        ["Phone: {}", "Call {} for results.", "Tel. {}", "Reach the family at {}."],
        ["cb {}", "emergency contact {}", "text {} when ready", "{} - brother"],
    ),
    "email": (["Write to {}.", "Email: {}"], ["cc {}", "reports to {} please"]),
    "national_id": (["SSN: {}", "passport no. {}"], ["Soc sec {}", "holder of {}"]),
    "address": (["Lives at {}.", "Address: {}"], ["Ambulance from {}.", "home visit, {}"]),
    "age": (["A {} old man with cough.", "Pt is {} old."], ["Mother, {} old, alive.", "{} old with falls"]),
}
ARABIC: dict[str, tuple[list[str], list[str]]] = {
    "name": (
        [
            "راجع د. {} في العيادة.",
            "اسم المريض: {}",
            "المريض {} يعاني من سعال.",
            "السيدة {} بحالة جيدة.",
            "ناقشنا مع {} أمس.",
        ],
        ["ابنته {} ترافقه.", "توقيع {}", "حضر {} متأخرا.", "بحسب {} لا ألم.", "الممرضة {} مبلغة."],
    ),
    "date": (
        ["بتاريخ {} أجريت الأشعة.", "تاريخ الميلاد: {}", "أدخل في {}.", "مقارنة بصورة {}", "آخر زيارة {}"],
        ["خرج {}", "{}: تحسن", "منذ {} بلا حمى", "آخر دورة {}", "راجعنا فحص {} اليوم"],
    ),
    "record_number": (
        ["رقم الملف {}", "رقم السجل الطبي: {}", "الرقم الطبي {}", "ملف المريض {}", "ملف: {}"],
        ["سجل {}", "{} / سرير 4", "المراجعة {}", "رقم {}", "الدفتر {}"],
    ),
    "phone": (
        ["رقم الجوال {}", "هاتف: {}", "للتواصل {}", "اتصل على {}"],
        ["رقم الأخ {}", "الطوارئ {}", "أرسل إلى {} عند الجاهزية", "{} - الأخ"],
    ),
    "email": (["البريد {}", "راسل {}"], ["نسخة إلى {}", "التقارير إلى {} رجاء"]),
    "national_id": (["رقم الهوية {}", "الرقم القومي: {}", "هوية رقم {}"], ["حامل البطاقة {}", "إثبات {}"]),
    "address": (["العنوان: {}", "يسكن في {}."], ["الإسعاف من {}.", "زيارة منزلية، {}"]),
    "age": (
        ["عمره {} عاما.", "رجل يبلغ من العمر {} سنة.", "مسن ({} عاما)."],
        ["الأم {} عاما على قيد الحياة.", "{} سنة مع سقوط"],
    ),
}


def value(kind: str, arabic: bool, rng: random.Random) -> str:
    """A made-up identity."""
    digits = lambda count: "".join(rng.choices("0123456789", k=count))  # noqa: E731
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1930, 2024)
    name = f"{rng.choice(FIRST_AR)} {rng.choice(LAST_AR)}" if arabic else f"{rng.choice(FIRST)} {rng.choice(LAST)}"
    written = f"{day} {rng.choice(MONTHS_AR)} {year}" if arabic else f"{rng.choice(MONTHS)} {day}, {year}"
    street = f"شارع {rng.choice(LAST_AR)}" if arabic else f"{rng.randint(1, 999)} {rng.choice(LAST[:2])} Street"
    made = {
        "name": name,
        "date": rng.choice([f"{day:02}/{month:02}/{year}", f"{year}-{month:02}-{day:02}", written]),
        "record_number": digits(rng.randint(6, 9)),
        "phone": rng.choice([f"+966 5{digits(8)}", f"05{digits(8)}", f"(555) {digits(3)}-{digits(4)}"]),
        "email": f"{rng.choice(FIRST).lower()}.{rng.choice(LAST[:3]).lower()}@clinic.example.org",
        "national_id": f"1{digits(9)}" if arabic else f"1{digits(2)}-{rng.randint(10, 99)}-1{digits(3)}",
        "address": street,
        "age": str(rng.randint(90, 104)) + ("" if arabic else rng.choice(["-year", " year"])),
    }[kind]
    return made.translate(_TO_ARABIC) if arabic and kind != "email" and rng.random() < 0.5 else made


def planted(arabic: bool, carriers: Sequence[str], rng: random.Random) -> Iterator[Planted]:
    """Identities in sentences between the sentences of a real text."""
    for kind, both in (ARABIC if arabic else ENGLISH).items():
        for seen, wordings in zip((True, False), both, strict=True):
            for _ in range(PER_KIND):
                wording, own = rng.choice(wordings), value(kind, arabic, rng)
                before, after = rng.choice(carriers), rng.choice(carriers)
                start = len(before) + 1 + wording.index("{}")
                yield Planted(kind, f"{before}\n{wording.format(own)}\n{after}", start, start + len(own), seen)


Scan = Callable[[str], list[Found]]


def numbers_alone(text: str) -> list[Found]:
    """Baseline: anything that looks like a date or a long number."""
    return [Found("record_number", *match.span()) for match in _NUMBERS.finditer(text)]


def capital_pairs(text: str) -> list[Found]:
    """Baseline: capitalised words in a row, and numbers."""
    return numbers_alone(text) + [Found("name", *match.span()) for match in _NAMES.finditer(text)]


SCANS: dict[str, Scan] = {
    "screen": scan_text,
    "baseline: numbers": numbers_alone,
    "baseline: numbers, capitals": capital_pairs,
}


def covered(item: Planted, found: list[Found]) -> bool:
    """Whether no character of the identity stands outside the findings."""
    return all(any(one.start <= at < one.end for one in found) for at in range(item.start, item.end))


def recall(items: list[Planted]) -> dict[str, Any]:
    """By kind: share found by each scan, and told right."""
    result: dict[str, Any] = {}
    for kind in dict.fromkeys(item.kind for item in items):
        for seen in (True, False):
            own = [item for item in items if (item.kind, item.seen) == (kind, seen)]
            row = {name: mean(covered(item, scan(item.text)) for item in own) for name, scan in SCANS.items()}
            row["screen, kind right"] = mean(
                any(one.kind == kind and one.start < item.end and item.start < one.end for one in scan_text(item.text))
                for item in own
            )
            result[f"{kind}, {'tuned' if seen else 'unseen'} wordings"] = row
    return result


def mean(values: Iterator[bool]) -> float:
    """Share of True."""
    own = list(values)
    return round(sum(own) / max(1, len(own)), 4)


def clean_texts(root: Path) -> dict[str, list[str]]:
    """Texts without patients' identities."""
    tmx = (root / "tico19" / "all.en-ar.tmx").read_text(encoding="utf-8")
    segments = [html.unescape(part) for part in re.findall(r"<seg>(.*?)</seg>", tmx, re.DOTALL)]
    with (root / "rocov2" / "sample_train_captions.csv").open(encoding="utf-8") as file:
        captions = [row["Caption"] for row in csv.DictReader(file)]
    tables = json.loads((root / "vqa_rad_ar" / "train_ar.json").read_text(encoding="utf-8"))
    medqa = [
        json.loads(line)["question"]
        for line in (root / "medqa" / "phrases_no_exclude_test.jsonl").open(encoding="utf-8")
    ]
    medmcqa = [json.loads(line)["question"] for line in (root / "medmcqa" / "dev.json").open(encoding="utf-8")]
    return {
        "Indiana reports": indiana(root),
        "MedQA questions": medqa,
        "MedMCQA questions": medmcqa,
        "ROCOv2 captions": captions,
        "ROCOv2 captions, Arabic": [row["ar"] for row in asset("rocov2_captions_ar.jsonl")],
        "VQA-RAD": [*tables["questions"], *tables["answers"]],
        "VQA-RAD, Arabic": [*tables["questions"].values(), *tables["answers"].values()],
        "TICO-19": [part for part in segments if not re.search("[\u0600-\u06ff]", part)],
        "TICO-19, Arabic": [part for part in segments if re.search("[\u0600-\u06ff]", part)],
    }


def indiana(root: Path) -> list[str]:
    """Whole reports."""
    rows = json.loads((root / "indiana" / "indiana_dev.json").read_text(encoding="utf-8"))
    return ["\n".join((row["background"], row["findings"], row["impression"])) for row in rows]


def alarms(texts: list[str]) -> dict[str, Any]:
    """Findings in texts, by kind, and the share of texts with any."""
    result: dict[str, Any] = {"texts": len(texts)}
    for name, scan in SCANS.items():
        started = time.process_time()
        found = [scan(text) for text in texts]
        seconds = time.process_time() - started
        row = {
            "texts with findings": sum(map(bool, found)),
            "findings": dict(Counter(one.kind for own in found for one in own)),
        }
        result[name] = row | {"characters a CPU second": round(sum(map(len, texts)) / seconds)}
    return result


def writing(root: Path) -> dict[str, Any]:
    """Pictures flagged for writing, as they are and with a line written in; BCCD's have none of their own."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    folders = {"BCCD": "bccd/BCCD/JPEGImages", "VQA-RAD": "vqa_rad/images", "ROCOv2": "rocov2/train"}
    result: dict[str, Any] = {}
    for name, folder in folders.items():
        paths = sorted((root / folder).glob("*.jpg"))[:300]
        images = [Image.open(path).convert("RGB") for path in paths]
        row: dict[str, Any] = {
            "pictures": len(images),
            "flagged as they are": sum(has_writing(np.asarray(i)) for i in images),
        }
        for size in (12, 16, 24):
            marked = 0
            for image in images:
                copy = image.copy()
                box = (0, 0, image.width, size + 14)
                ImageDraw.Draw(copy).rectangle(box, fill=(0, 0, 0))
                ImageDraw.Draw(copy).text(
                    (8, 6), "DOE^JOHN 1965-03-12 ID 0012345", "white", ImageFont.load_default(size)
                )
                marked += has_writing(np.asarray(copy))
            row[f"flagged with a line of {size} pixels on a black strip"] = marked
        result[name] = row
    return result


def main() -> None:
    """Print one JSON object and write it to --out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rng = random.Random(0)
    arabic_carriers = [row["ar"] for row in asset("rocov2_captions_ar.jsonl")]
    report = {
        "machine": machine() | {"command": "python benchmarks/phi_scan.py --data DATA --out FILE"},
        "planted, English": recall(list(planted(False, indiana(args.data), rng))),
        "planted, Arabic": recall(list(planted(True, arabic_carriers, rng))),
        "clean": {name: alarms(texts) for name, texts in clean_texts(args.data).items()},
        "writing in pictures": writing(args.data),
    }
    print(json.dumps(report, indent=1, ensure_ascii=False))
    if args.out:
        args.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
