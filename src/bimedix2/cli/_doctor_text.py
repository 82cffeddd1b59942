"""The report of ``bimedix2 doctor`` as lines of text in English or Arabic."""

from __future__ import annotations

from typing import Any

_WORDS: dict[str, dict[str, str]] = {
    "en": {
        "python": "Python",
        "platform": "platform",
        "cpu": "processor",
        "memory": "memory",
        "gpu": "GPU",
        "cache": "cache",
        "torchvision": "torchvision",
        "dicom": "DICOM",
        "nano": "nano",
        "hub": "model hub",
        "cores": "cores",
        "no_bf16": "no bfloat16 instructions: expect slower answers",
        "memory_value": "{available} GB available of {total} GB",
        "unknown": "unknown",
        "none": "none; the CPU is used",
        "cache_value": "{folder}, {free_gb} GB free",
        "not_writable": "not writable: set BIMEDIX2_CACHE to another folder",
        "absent": "absent, as it should be",
        "works": "{version}, not needed but works with this torch",
        "harmful": "{version} fails with this torch and keeps models from loading: pip uninstall torchvision",
        "decodes": "decodes",
        "lacks": "cannot decode {names}: pip install 'bimedix2[dicom]'",
        "not_pulled": "not assembled yet: run bimedix2 pull nano",
        "pulled": "assembled in {folder}",
        "untrained": "this installation ships no trained projector",
        "damaged": "damaged ({problems}): run bimedix2 pull nano --force",
        "unchecked": "not checked (use --online)",
        "reachable": "reachable",
        "unreachable": "not reachable; local folders and nano still work",
        "packages": "Packages",
        "missing": "missing",
        "extra": "comes with the extra",
        "jobs": "What this machine can do",
        "ready": "ready",
        "old_python": "too old: Python 3.11 or newer is needed",
    },
    "ar": {
        "python": "بايثون",
        "platform": "المنصة",
        "cpu": "المعالج",
        "memory": "الذاكرة",
        "gpu": "معالج الرسوم",
        "cache": "التخزين المؤقت",
        "torchvision": "torchvision",
        "dicom": "DICOM",
        "nano": "nano",
        "hub": "مستودع النماذج",
        "cores": "أنوية",
        "no_bf16": "لا توجد تعليمات bfloat16: ستكون الإجابات أبطأ",
        "memory_value": "المتاح {available} GB من {total} GB",
        "unknown": "غير معروف",
        "none": "لا يوجد؛ يستخدم المعالج المركزي",
        "cache_value": "{folder}، المساحة الحرة {free_gb} GB",
        "not_writable": "غير قابل للكتابة: اضبط BIMEDIX2_CACHE على مجلد آخر",
        "absent": "غير مثبت، وهو المطلوب",
        "works": "{version}، غير لازم لكنه يعمل مع torch هذا",
        "harmful": "{version} معطل مع torch هذا ويمنع تحميل النماذج: pip uninstall torchvision",
        "decodes": "يفك ترميز",
        "lacks": "لا يفك ترميز {names}: pip install 'bimedix2[dicom]'",
        "not_pulled": "لم يجمع بعد: شغل bimedix2 pull nano",
        "pulled": "مجمع في {folder}",
        "untrained": "لا يتضمن هذا التثبيت مسقطا مدربا",
        "damaged": "تالف ({problems}): شغل bimedix2 pull nano --force",
        "unchecked": "لم يفحص (استخدم --online)",
        "reachable": "متاح",
        "unreachable": "غير متاح؛ المجلدات المحلية وnano تعمل",
        "packages": "الحزم",
        "missing": "مفقود",
        "extra": "يأتي مع الإضافة",
        "jobs": "ما يستطيعه هذا الجهاز",
        "ready": "جاهز",
        "old_python": "قديم: يلزم بايثون 3.11 أو أحدث",
    },
}
_JOBS = {
    "en": {
        "ask": "ask",
        "data": "data sets",
        "train": "training",
        "evaluate": "evaluation",
        "check": "checking",
        "serve": "server",
        "docs": "docs",
    },
    "ar": {
        "ask": "السؤال",
        "data": "البيانات",
        "train": "التدريب",
        "evaluate": "التقييم",
        "check": "الفحص",
        "serve": "الخادم",
        "docs": "الوثائق",
    },
}  # fmt: skip


def as_text(report: dict[str, Any], language: str) -> str:
    """Readable report.

    Args:
        report: from :func:`bimedix2.cli._checks.examine`.
        language: ``"en"`` or ``"ar"``.
    """
    words = _WORDS[language]
    lines = [
        f"bimedix2 {report['bimedix2']}",
        *_machine(report, words),
        *_parts(report, words),
        "",
        words["packages"],
    ]
    for name, row in report["packages"].items():
        state = row["version"] or f"{words['missing']} ({words['extra']} {row['extra']})"
        lines.append(f"  {_mark(row['version'])} {name}: {state}")
    lines += ["", words["jobs"]]
    for job, row in report["jobs"].items():
        state = words["ready"] if row["ready"] else f"{words['missing']} {', '.join(row['missing'])} → {row['install']}"
        lines.append(f"  {_mark(row['ready'])} {_JOBS[language][job]}: {state}")
    return "\n".join(lines)


def _mark(good: object) -> str:
    return "✓" if good else "✗"


def _machine(report: dict[str, Any], words: dict[str, str]) -> list[str]:
    python, cpu, cache = report["python"], report["cpu"], report["cache"]
    memory = words["unknown"]
    if report["memory_gb"] is not None:
        rows_gb = {name: words["unknown"] if value is None else value for name, value in report["memory_gb"].items()}
        memory = words["memory_value"].format(**rows_gb)
    processor = f"{cpu['name']}, {cpu['cores']} {words['cores']}, {' '.join(cpu['features'])}"
    if cpu["bfloat16"] is False:
        processor += f" ({words['no_bf16']})"
    place = words["cache_value"].format(**cache)
    if not cache["writable"]:
        place += f" ({words['not_writable']})"
    rows = [
        (
            "python",
            f"{python['version']} {python['executable']}" + ("" if python["ok"] else f" ({words['old_python']})"),
        ),
        ("platform", report["platform"]),
        ("cpu", processor),
        ("memory", memory),
        ("gpu", ", ".join(report["gpu"]) or words["none"]),
        ("cache", place),
    ]
    return [f"  {words[key]}: {value}" for key, value in rows]


def _parts(report: dict[str, Any], words: dict[str, str]) -> list[str]:
    vision, decoders = report["torchvision"], report["dicom_decoders"]
    state = "absent" if vision["version"] is None else "harmful" if vision["harmful"] else "works"
    lacking = [name for name, there in decoders.items() if not there]
    present = f"{words['decodes']} {', '.join(name for name, there in decoders.items() if there)}"
    rows = [
        ("torchvision", words[state].format(**vision)),
        ("dicom", words["lacks"].format(names=", ".join(lacking)) if lacking else present),
        ("nano", _nano(report["nano"], words)),
        ("hub", f"{report['hub']['address']} {words[_HUB[report['hub']['reachable']]]}"),
    ]
    return [f"  {words[key]}: {value}" for key, value in rows]


_HUB = {None: "unchecked", True: "reachable", False: "unreachable"}


def _nano(nano: dict[str, Any], words: dict[str, str]) -> str:
    if nano["problems"]:
        return words["damaged"].format(problems="; ".join(nano["problems"]))
    if not nano["cached"]:
        return words["not_pulled"]
    state = words["pulled"].format(folder=nano["folder"])
    return state if nano["trained"] else f"{state}; {words['untrained']}"
