"""Small, hostile and golden image files made by code."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
CANARY = "CANARY^PATIENT"


def bundled(name: str) -> bytes:
    """One of pydicom's own test files."""
    path = get_testdata_file(name, download=False)
    assert path is not None, f"pydicom no longer carries {name}"
    return Path(path).read_bytes()


def save(picture: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def zeros_png(width: int, height: int) -> bytes:
    """A black 1-bit PNG of any size; 20,000 by 20,000 takes about 50 KB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    block = row * 100
    body = b"".join(packer.compress(block) for _ in range(height // 100))
    body += packer.compress(row * (height % 100)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)


def sixteen_bit_png(values: np.ndarray) -> bytes:
    return save(Image.fromarray(values.astype(np.uint16)), "PNG")


def dicom_dataset(stored: np.ndarray, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> FileDataset:
    """A grey or RGB image with the attributes given; ``None`` removes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = UID(CT_STORAGE)
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = CT_STORAGE, "1.2.3.4"
    ds.PatientName, ds.PatientID, ds.Modality = CANARY, CANARY, "CT"
    ds.Rows, ds.Columns = stored.shape[-2:] if attributes.get("SamplesPerPixel", 1) == 1 else stored.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = stored.dtype.itemsize * 8
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(stored.dtype.kind == "i")
    ds.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def dicom_bytes(source: Dataset | np.ndarray, **attributes: Any) -> bytes:
    ds = dicom_dataset(source, **attributes) if isinstance(source, np.ndarray) else source
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, ds, enforce_file_format=True)
    return stream.getvalue()


def item(**attributes: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def sequence(**attributes: Any) -> Sequence:
    return Sequence([item(**attributes)])


def explicit(group: int, element: int, vr: bytes, value: bytes) -> bytes:
    """One short-form element in explicit little endian."""
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def dicom_file(body: bytes, syntax: str = str(ExplicitVRLittleEndian), preamble: bytes = b"") -> bytes:
    """Preamble, meta group and any bytes behind it."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = explicit(2, 0x0010, b"UI", uid)
    length = explicit(2, 0, b"UL", struct.pack("<I", len(meta)))
    return preamble.ljust(128, b"\0") + b"DICM" + length + meta + body


def nested_sequences(depth: int) -> bytes:
    """Undefined-length sequences one inside the other."""
    opened = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    opened += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    closed = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    return opened * depth + closed * depth


def encapsulated(*fragments: bytes) -> bytes:
    """Pixel data element of encapsulated fragments behind an empty offset table."""
    items = (b"", *(f + b"\0" * (len(f) % 2) for f in fragments))
    body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(i)) + i for i in items)
    return body + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
