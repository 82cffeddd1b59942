"""``bimedix2 serve --check``: is everything in place, said before anybody waits for an answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.settings import MIB, ServeSettings

Grade = Literal["ok", "note", "fault"]
_LOW_DISK = 1024 * MIB
_MARKS: dict[Grade, dict[str, str]] = {
    "ok": {"en": "ok   ", "ar": "سليم"},
    "note": {"en": "note ", "ar": "تنبيه"},
    "fault": {"en": "FAULT", "ar": "خلل"},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in both languages."""

    name: str
    grade: Grade
    en: str
    ar: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was looked at."""

    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether the server can be started."""
        return all(finding.grade != "fault" for finding in self.findings)

    def lines(self, languages: Sequence[str]) -> list[str]:
        """The report for people, one language after the other."""
        return [
            f"{_MARKS[found.grade][language]} {found.name}: {found.en if language == 'en' else found.ar}"
            for language in languages
            for found in self.findings
        ]


def check(settings: ServeSettings) -> Report:
    """Look at the packages, the data folder, the disk, keys, the engine, the image decoder and the fonts.

    Nothing is kept, no large model is loaded and, but for the upstream, nothing is asked of the network.
    """
    looks: tuple[tuple[str, Callable[[ServeSettings], Finding]], ...] = (
        ("packages", _packages),
        ("data", _data),
        ("disk", _disk),
        ("keys", _keys),
        ("engine", _engine),
        ("adapters", _adapters),
        ("images", _images),
        ("fonts", _fonts),
    )
    return Report(tuple(_safely(name, look, settings) for name, look in looks))


def _safely(name: str, look: Callable[[ServeSettings], Finding], settings: ServeSettings) -> Finding:
    try:
        return look(settings)
    except BiMediX2Error as error:
        return Finding(name, "fault", error.message, error.message_ar)
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Finding(name, "fault", f"{reason}. Check the installation.", f"{reason}. تحقق من التثبيت.")


def _packages(_: ServeSettings) -> Finding:
    needed = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart", "fpdf": "fpdf2"}
    missing = ", ".join(package for module, package in needed.items() if find_spec(module) is None)
    if missing:
        command = "pip install 'bimedix2[serve]'"
        return Finding("packages", "fault", f"missing: {missing}. Run: {command}", f"ناقص: {missing}. شغل: {command}")
    return Finding("packages", "ok", "all there", "كلها موجودة")


def _data(settings: ServeSettings) -> Finding:
    """Take the folder as the server would, also finding out whether another one has it."""
    from bimedix2.serve.store.database import Database

    made = not settings.data.exists()
    database = Database(settings.data)
    try:
        with database.write() as connection:
            connection.execute("SELECT 1")
    finally:
        database.close()
    if made:
        return Finding("data", "ok", f"{settings.data} was made", f"أنشئ المجلد {settings.data}")
    mode = settings.data.stat().st_mode & 0o077
    if mode:
        return Finding(
            "data",
            "fault",
            f"other users of this machine can read {settings.data}. Run: chmod 700 {settings.data}",
            f"يستطيع مستخدمون آخرون قراءة {settings.data}. شغل: chmod 700 {settings.data}",
        )
    return Finding("data", "ok", f"{settings.data} can be used", f"يمكن استخدام المجلد {settings.data}")


def _disk(settings: ServeSettings) -> Finding:
    existing = next(folder for folder in (settings.data, *settings.data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    size = f"{free / 1024 / MIB:.1f} GiB"
    if free < _LOW_DISK:
        return Finding(
            "disk",
            "fault",
            f"{size} free; uploads and the log need at least 1 GiB. Free some space, or choose another --data",
            f"المساحة الحرة {size}؛ يلزم 1 GiB على الأقل. وفر مساحة أو اختر مجلدا آخر بالخيار --data",
        )
    return Finding("disk", "ok", f"{size} free", f"المساحة الحرة {size}")


def _keys(settings: ServeSettings) -> Finding:
    from bimedix2.serve.auth.guard import Guard
    from bimedix2.serve.store.database import Database

    database = Database(settings.data)
    try:
        guard = Guard(settings, database)
        guard.require_safe()
        count = len(guard.keys.all())
    finally:
        database.close()
    if count or settings.oidc:
        return Finding("keys", "ok", f"{count} keys", f"عدد المفاتيح: {count}")
    return Finding("keys", "ok", "none needed: only this machine can ask", "لا حاجة إليها: لا يسأل إلا هذا الجهاز")


def _engine(settings: ServeSettings) -> Finding:
    if settings.engine == "openai":
        return _upstream(settings)
    if settings.engine == "echo":
        return Finding("engine", "note", "echo repeats questions; for tests only", "echo يكرر الأسئلة؛ للتجربة فقط")
    if settings.engine == "openvino":
        return _exported(settings)
    return _model(settings.model)


def _exported(settings: ServeSettings) -> Finding:
    from bimedix2.serve.engines.openvino_prompt import OpenVinoPrompts, missing_package, refuse_adapters

    try:
        refuse_adapters(settings.adapters)
        OpenVinoPrompts(Path(settings.model))
        if find_spec("openvino_genai") is None:
            raise missing_package()
    except BiMediX2Error as error:
        return Finding("engine", "fault", str(error), error.message_ar)
    return Finding("engine", "ok", f"{settings.model}: exported", f"{settings.model}: مصدر")


def _upstream(settings: ServeSettings) -> Finding:
    from bimedix2.serve.engines.upstream import UpstreamEngine

    async def look() -> tuple[tuple[str, str] | None, str, tuple[str, ...]]:
        engine = UpstreamEngine(settings)
        try:
            await engine.probe()
            return engine.state().problem, engine.info.model, engine.found
        finally:
            await engine.close()

    problem, model, found = asyncio.run(look())
    if problem is not None:
        names = ", ".join(found)
        told = (f" Its models: {names}.", f" النماذج المتاحة فيه: {names}.") if names else ("", "")
        return Finding("engine", "fault", problem[0] + told[0], problem[1] + told[1])
    return Finding("engine", "ok", f"the upstream serves {model}", f"يقدم الخادم النموذج {model}")


def _model(name: str) -> Finding:
    from bimedix2.model.hub import is_hub_id
    from bimedix2.model.nano.assemble import nano_path
    from bimedix2.model.tensors import folder_tensors

    folder = nano_path() if name == "nano" else Path(name)
    if name == "nano" and not (folder / "bimedix2.json").is_file():
        return Finding(
            "engine",
            "note",
            "nano is put together at the first start; `bimedix2 pull nano` does it now",
            "يجمع nano عند أول تشغيل؛ الأمر `bimedix2 pull nano` يجمعه الآن",
        )
    if not folder.is_dir() and is_hub_id(name):
        return Finding(
            "engine",
            "note",
            f"{name} is looked for in the cache and on the hub at the start",
            f"يبحث عن {name} في الذاكرة المحلية وفي المستودع عند التشغيل",
        )
    if not (folder / "config.json").is_file():
        return Finding(
            "engine",
            "fault",
            f"{name} is no model folder. Give nano, a folder with config.json or a hub id to --model",
            f"{name} ليس مجلد نموذج. أعط --model الاسم nano أو مجلدا فيه config.json أو معرفا في المستودع",
        )
    count = len(folder_tensors(folder))
    return Finding("engine", "ok", f"{name}: {count} tensors", f"{name}: عدد المصفوفات {count}")


def _adapters(settings: ServeSettings) -> Finding:
    if settings.adapters is None:
        return Finding("adapters", "ok", "none", "لا يوجد")
    if not settings.adapters.is_dir():
        return Finding(
            "adapters",
            "fault",
            f"{settings.adapters} is no folder. Give --adapters a folder with one folder for each adapter",
            f"{settings.adapters} ليس مجلدا. أعط --adapters مجلدا فيه مجلد لكل مكيف",
        )
    names = sorted(path.parent.name for path in settings.adapters.glob("*/adapter_config.json"))
    if not names:
        return Finding("adapters", "note", f"{settings.adapters} is empty", f"المجلد {settings.adapters} فارغ")
    return Finding("adapters", "ok", ", ".join(names), "، ".join(names))


def _images(settings: ServeSettings) -> Finding:
    from bimedix2.images import ImageDecoder

    with ImageDecoder(settings.limits.image) as decoder:
        decoder.warm()
    dicom = find_spec("pydicom") is not None
    formats = "PNG, JPEG, WebP" + (", DICOM" if dicom else "")
    grade: Grade = "ok" if dicom else "note"
    return Finding("images", grade, formats, formats)


def _fonts(_: ServeSettings) -> Finding:
    folder = Path(__file__).parent / "export" / "fonts"
    wanted = ("IBMPlexSansArabic-Regular.ttf", "IBMPlexSansArabic-SemiBold.ttf")
    missing = ", ".join(name for name in wanted if not (folder / name).is_file())
    if missing:
        return Finding("fonts", "fault", f"missing: {missing}. Install again", f"ناقص: {missing}. أعد التثبيت")
    return Finding("fonts", "ok", "IBM Plex Sans Arabic", "IBM Plex Sans Arabic")
