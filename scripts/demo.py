"""Ask nano about four real images in English and Arabic; `make demo` runs this."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path

import bimedix2
from bimedix2.cli._terminal import quiet_libraries, readable
from bimedix2.model.nano import nano_adapter

QUESTIONS = (
    ("What imaging modality is this?", "ما نوع التصوير في هذه الصورة؟"),
    ("Which part of the body is shown?", "أي جزء من الجسم يظهر في الصورة؟"),
)


def demo_images() -> list[tuple[str, Path]]:
    """Images that ship inside installed packages: pydicom's DICOM files, scikit-image's CC0 photograph."""
    from pydicom.data import get_testdata_file

    names = (
        ("CT (DICOM)", "CT_small.dcm"),
        ("MR (DICOM)", "MR_small.dcm"),
        ("ultrasound (colour DICOM)", "examples_rgb_color.dcm"),
    )
    images = [(title, Path(str(get_testdata_file(name, download=False)))) for title, name in names]
    package = find_spec("skimage")
    if package is not None and package.submodule_search_locations:
        images.append(("retina (photograph)", Path(package.submodule_search_locations[0]) / "data" / "retina.jpg"))
    return images


def main() -> None:
    """Load once, then two questions per image in both languages."""
    print(f"⚠ {bimedix2.NOTICE_EN}\n⚠ {readable(bimedix2.NOTICE_AR)}\n")
    quiet_libraries()
    started = time.monotonic()
    model = bimedix2.load("nano")
    print(f"nano loaded in {time.monotonic() - started:.2f} s")
    if nano_adapter() is None:
        print("This installation ships no trained projector: the answers below mean nothing yet.")
    for title, path in demo_images():
        print(f"\n── {title}: {path.name}")
        for pair in QUESTIONS:
            for question in pair:
                answer = model.ask(question, [path])
                times = answer.timings
                print(f"  {readable(question)}\n    → {readable(answer.text)}")
                print(
                    f"      first token {times.first_token:.2f} s, "
                    f"{answer.tokens} tokens in {times.total:.2f} s, "
                    f"{answer.reused_tokens} of {answer.prompt_tokens} prompt tokens reused"
                )


if __name__ == "__main__":
    main()
