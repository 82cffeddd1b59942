"""A DICOM file without what decoding does not need: no preamble, no patient, no private element. Runs in the child."""

from __future__ import annotations

import io
from collections.abc import Collection
from typing import Any

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info

from bimedix2.images import dicom_fields as fields
from bimedix2.images.dicom_scan import scan
from bimedix2.images.windows import EXPLANATION, SHOWN_KEYWORDS, known_name

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
KEPT = frozenset((*fields.KEYWORDS, *SHOWN_KEYWORDS))
_TABLE = frozenset(("LUTDescriptor", "LUTData"))
_GROUP = frozenset(
    ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence", "FrameAnatomySequence")
)
_WITHIN: dict[str, Collection[str]] = {
    "ModalityLUTSequence": _TABLE,
    "VOILUTSequence": _TABLE,
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction", EXPLANATION),
    "PixelMeasuresSequence": ("PixelSpacing",),
    "FrameAnatomySequence": ("FrameLaterality",),
    "SharedFunctionalGroupsSequence": _GROUP,
    "PerFrameFunctionalGroupsSequence": _GROUP,
}


def strip_dicom(data: bytes) -> bytes:
    """The same pixels with the attributes that showing them needs, as a new DICOM file.

    Pixel data, look-up tables and numbers pass as the bytes they were. Nothing else is left: no preamble,
    identifier, date, private element, free text, or anything behind the pixels.

    Raises:
        ImageError: with the code of the fault.
    """
    outline = scan(data)
    source = pydicom.dcmread(io.BytesIO(data[: outline.end]), specific_tags=sorted(KEPT))
    _keep(source, KEPT)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = source.file_meta.TransferSyntaxUID
    if "SOPClassUID" in source:
        meta.MediaStorageSOPClassUID = source.SOPClassUID
    stream = DicomBytesIO()
    # Some writers declare one encoding and use the other: an element that was read without a VR tells.
    implicit = any(source.get_item(tag).VR is None for tag in list(source.keys()))
    little = bool(source.original_encoding[1])
    source.set_original_encoding(implicit, little)
    stream.is_implicit_VR, stream.is_little_endian = implicit, little
    stream.write(bytes(128) + b"DICM")
    write_file_meta_info(stream, meta, enforce_standard=False)
    write_dataset(stream, source)
    return stream.getvalue()


def _keep(dataset: Dataset, keywords: Collection[str]) -> None:
    """Delete every other element, down to the items of the sequences that stay."""
    for tag in list(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if keyword not in keywords:
            del dataset[tag]
        elif keyword == EXPLANATION:
            _replace_explanation(dataset)
        elif keyword in _WITHIN:
            for item in dataset[tag].value or ():
                _keep(item, _WITHIN[keyword])


def _replace_explanation(dataset: Any) -> None:
    """Known names only: what stands there is anybody's text."""
    value = dataset.get(EXPLANATION)
    texts = [value] if isinstance(value, str) else list(value or [])
    dataset.WindowCenterWidthExplanation = [known_name(str(text)) or "" for text in texts[:8]]
