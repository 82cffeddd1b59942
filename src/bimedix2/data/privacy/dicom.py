"""DICOM files screened and exported by an allow-list of attributes. Needs ``bimedix2[dicom]``.

Names of attributes are reported, never values. The export is for pictures, not an archive's de-identification: see
PS3.15 Annex E for what a profile demands beyond it.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bimedix2.cache import write_whole
from bimedix2.errors import ImageError
from bimedix2.images.dicom_fields import SECONDARY_CAPTURE, text
from bimedix2.images.messages import clean_name, image_error

from .dicom_tags import ALLOWED, CODES_OF_ACTS, KINDS, NEW_UIDS, SHORT_TEXTS

METHOD = "bimedix2: allow-list of attributes after PS3.15 Annex E"
_OWN = frozenset((*NEW_UIDS, "PatientIdentityRemoved", "DeidentificationMethod"))
"""What an export puts in; it is no finding in a file that was exported."""
_CODE = re.compile(r"[A-Z0-9 _]{0,16}")
_KERNEL = re.compile(r"[A-Za-z0-9_+. -]{0,16}")
# Modalities whose pictures usually carry names, dates or institutions in their pixels.
_WRITTEN = frozenset(("US", "IVUS", "XA", "RF", "ES", "XC", "OT", "SC", "DOC", "GM"))


class DicomScan(NamedTuple):
    """What a DICOM file has.

    Attributes:
        kept: keywords of attributes that an export would keep.
        dropped: keywords of the others that have a value; private ones by their numbers.
        burned_in: why the pixels may show who it is; empty where no attribute says so.
    """

    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    burned_in: tuple[str, ...]


def scan_dicom(path: Path) -> DicomScan:
    """Look at a file's attributes.

    Raises:
        ImageError: it is no DICOM file that this package reads.
    """
    with _silent(path):
        return _scan(_read(path))


def _scan(dataset: Any) -> DicomScan:
    own = _OWN if str(dataset.get("DeidentificationMethod", "")) == METHOD else frozenset[str]()
    allowed = {element.tag for element in dataset if _may_leave(element) or element.keyword in own}
    kept = [_name(element) for element in dataset if element.tag in allowed]
    dropped = [_name(element) for element in dataset if element.tag not in allowed and not element.is_empty]
    return DicomScan(tuple(kept), tuple(dropped), tuple(burned_in_notes(dataset)))


def burned_in_notes(dataset: Any) -> list[str]:
    """Attributes that make writing in the picture likely; ``BurnedInAnnotation`` is often absent or wrong."""
    notes = []
    stated = text(dataset, "BurnedInAnnotation")
    if stated == "YES":
        notes.append("BurnedInAnnotation YES")
    if text(dataset, "Modality") in _WRITTEN:
        notes.append(f"Modality {text(dataset, 'Modality')}")
    if text(dataset, "SOPClassUID").startswith(SECONDARY_CAPTURE) or text(dataset, "ConversionType"):
        notes.append("secondary capture")
    return notes


def export_dicom(path: Path, out: Path, secret: str = "") -> DicomScan:
    """Write a copy with the allowed attributes alone, and new identifiers.

    Args:
        path: the file.
        out: the copy.
        secret: kept by the user and mixed into the new identifiers: the same secret gives the same ones, so that the
            pictures of a study stay together; without it nobody can compute them from the old ones.

    Returns:
        What was kept and dropped.

    Raises:
        ImageError: it is no DICOM file that this package reads.
    """
    with _silent(path):
        dataset = _read(path)
        content = _exported(dataset, secret)
        found = _scan(dataset)
    write_whole(out, content)
    return found


def _exported(dataset: Any, secret: str) -> bytes:
    from pydicom import FileMetaDataset
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import UID

    copy = _allowed(dataset)
    for keyword in NEW_UIDS:
        old = str(dataset.get(keyword, ""))
        if old or keyword == "SOPInstanceUID":
            setattr(copy, keyword, _new_uid(old, secret))
    copy.PatientIdentityRemoved, copy.DeidentificationMethod = "YES", METHOD
    copy.PatientName = copy.PatientID = ""  # of type 2: present and empty
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = copy.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = UID(copy.SOPInstanceUID)
    copy.file_meta = meta
    buffer = io.BytesIO()
    dcmwrite(buffer, copy, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def _silent(path: Path) -> Iterator[None]:
    """Let no value of the file out: neither the library's warnings nor its errors, which quote values."""
    name = clean_name(str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError as error:
        raise image_error(error.code, name) from None
    except OSError:
        raise image_error("image_not_found", name) from None
    except ImportError:
        raise
    except Exception:  # noqa: BLE001 - whatever a damaged file makes pydicom raise
        raise image_error("image_unreadable", name) from None


def _read(path: Path) -> Any:
    import pydicom

    from bimedix2.images.dicom_scan import scan

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    data = path.read_bytes()
    return pydicom.dcmread(io.BytesIO(data[: scan(data).end]))


def _allowed(dataset: Any) -> Any:
    """A data set of allowed attributes, in sequences too."""
    from pydicom import Dataset, Sequence

    copy = Dataset()
    for element in dataset:
        if _may_leave(element):
            if element.VR == "SQ":
                setattr(copy, element.keyword, Sequence([_allowed(item) for item in element.value or ()]))
            else:
                copy.add(element)
    return copy


def _may_leave(element: Any) -> bool:
    if element.tag.is_private or element.keyword not in ALLOWED:
        return False
    if element.keyword in CODES_OF_ACTS:
        return True
    kind = str(element.VR)
    if kind not in KINDS:
        return False
    if kind in ("CS", "SH"):
        pattern = _CODE if kind == "CS" else _KERNEL
        values = element.value if isinstance(element.value, list | tuple) else [element.value]
        values = list(element.value) if element.VM > 1 else values
        right = all(pattern.fullmatch(str(value or "")) for value in values)
        return right and (kind == "CS" or element.keyword in SHORT_TEXTS)
    return True


def _name(element: Any) -> str:
    tag = f"({element.tag.group:04x},{element.tag.element:04x})"
    if element.tag.is_private:
        return f"private {tag}"
    return element.keyword or tag


def _new_uid(old: str, secret: str) -> str:
    """An identifier below 2.25 (PS3.5 B.2), from the old one and the secret; at random where there is none."""
    if not secret:
        import uuid

        return f"2.25.{uuid.uuid4().int}"
    return f"2.25.{int.from_bytes(hashlib.sha256(f'{secret}|{old}'.encode()).digest()[:16], 'big')}"
