"""DICOM by allow-list: planted identities in every corner do not get out, pixels do; writing in pixels is flagged."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.privacy.burned_in import has_writing, picture_notes
from bimedix2.data.privacy.dicom import export_dicom, scan_dicom
from bimedix2.data.privacy.dicom_tags import ALLOWED
from bimedix2.data.privacy.records import scan_records
from bimedix2.errors import ImageError
from bimedix2.images import load_image
from bimedix2.records import ImageRef, Record, Turn, write_records

# From PS3.15 table E.1-1: what the Basic Profile removes, empties or replaces.
BASIC_PROFILE = """
AccessionNumber AcquisitionComments AcquisitionDate AcquisitionDateTime AcquisitionTime AdditionalPatientHistory
AdmittingDate AdmittingDiagnosesDescription Allergies CommentsOnThePerformedProcedureStep ContentCreatorName ContentDate
ContentTime CountryOfResidence DerivationDescription DeviceSerialNumber EthnicGroup FrameComments IdentifyingComments
ImageComments InstitutionAddress InstitutionName InstitutionalDepartmentName IssuerOfPatientID MedicalAlerts
MedicalRecordLocator MilitaryRank NamesOfIntendedRecipientsOfResults Occupation OperatorsName OtherPatientIDs
OtherPatientNames PatientAddress PatientAge PatientBirthDate PatientBirthName PatientBirthTime PatientComments PatientID
PatientMotherBirthName PatientName PatientSex PatientSize PatientTelephoneNumbers PatientWeight
PerformedProcedureStepDescription PerformingPhysicianName PersonAddress PersonName PhysiciansOfRecord PregnancyStatus
ProtocolName ReasonForStudy ReferencedPatientSequence ReferringPhysicianAddress ReferringPhysicianName
RequestAttributesSequence RequestedProcedureDescription RequestingPhysician SeriesDate SeriesDescription
SeriesInstanceUID SeriesTime SmokingStatus SOPInstanceUID StationName StudyComments StudyDate StudyDescription StudyID
StudyInstanceUID StudyTime TextString UID VisitComments
""".split()  # noqa: SIM905 - as the table lists them
SECRET = "ZEBULON^QUIRKE"


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A CT slice with an identity in texts, codes, sequences, private attributes, overlays and the preamble."""
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    for keyword in BASIC_PROFILE:
        if pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(keyword) or 0x00100010) in (
            "LO",
            "SH",
            "PN",
        ):
            setattr(dataset, keyword, SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.BodyPartExamined = SECRET.lower()  # no code: lower case and a sign that codes do not have
    item, inner = Dataset(), Dataset()
    inner.PatientName = item.PatientName = SECRET
    inner.PixelSpacing = [0.5, 0.5]
    item.PixelMeasuresSequence = Sequence([inner])
    dataset.SharedFunctionalGroupsSequence = Sequence([item])
    dataset.RequestAttributesSequence = Sequence([item])
    block = dataset.private_block(0x0099, "MINE", create=True)
    block.add_new(0x01, "LO", SECRET)
    dataset.add_new((0x6000, 0x3000), "OB", SECRET.encode())
    dataset.add_new((0x0088, 0x0200), "SQ", Sequence([item]))
    dataset.preamble = SECRET.encode().ljust(128, b"\0")
    path = tmp_path / "planted.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path)
    assert SECRET.encode() in path.read_bytes()
    return path


def test_an_export_holds_the_pixels_and_no_identity(planted: Path, tmp_path: Path) -> None:
    out = tmp_path / "clean.dcm"
    found = export_dicom(planted, out)
    content = out.read_bytes()
    assert SECRET.encode() not in content
    assert SECRET.lower().encode() not in content
    assert load_image(out).sha256 == load_image(planted).sha256
    before, after = pydicom.dcmread(planted), pydicom.dcmread(out)
    assert (after.PixelSpacing, after.RescaleIntercept) == (before.PixelSpacing, before.RescaleIntercept)
    assert after.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [0.5, 0.5]
    assert "PatientName" not in after.SharedFunctionalGroupsSequence[0]
    assert (str(after.PatientName), after.PatientIdentityRemoved) == ("", "YES")
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert after[keyword].value.startswith("2.25.")
        assert str(before[keyword].value).encode() not in content
    assert {"PatientName", "StudyDate", "BodyPartExamined", "private (0099,1001)"} <= set(found.dropped)
    assert scan_dicom(out).dropped == ()


def test_nothing_of_the_basic_profile_is_allowed() -> None:
    assert set(BASIC_PROFILE) & ALLOWED == set()
    kinds = {pydicom.datadict.dictionary_VR(pydicom.datadict.tag_for_keyword(name)) for name in ALLOWED}
    assert kinds.isdisjoint({"PN", "LO", "LT", "ST", "UT", "UC", "DA", "TM", "DT", "AS", "UR"})


def test_a_secret_keeps_the_pictures_of_a_study_together(planted: Path, tmp_path: Path) -> None:
    def study(secret: str) -> str:
        export_dicom(planted, tmp_path / "o.dcm", secret)
        return str(pydicom.dcmread(tmp_path / "o.dcm").StudyInstanceUID)

    assert study("a") == study("a") != study("b")
    assert study("") != study("")


@pytest.mark.parametrize("name", ["MR_small.dcm", "examples_palette.dcm", "JPEG2000.dcm", "MR_small_bigendian.dcm"])
def test_real_files_of_other_kinds_survive(name: str, tmp_path: Path) -> None:
    path = Path(get_testdata_file(name))
    export_dicom(path, tmp_path / "o.dcm")
    assert load_image(tmp_path / "o.dcm").sha256 == load_image(path).sha256
    assert scan_dicom(tmp_path / "o.dcm").dropped == ()


def test_attributes_that_make_writing_likely_are_told(tmp_path: Path) -> None:
    assert scan_dicom(Path(get_testdata_file("examples_palette.dcm"))).burned_in == ("Modality US",)
    assert scan_dicom(Path(get_testdata_file("CT_small.dcm"))).burned_in == ()
    dataset = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(tmp_path / "b.dcm")
    assert scan_dicom(tmp_path / "b.dcm").burned_in == ("BurnedInAnnotation YES",)


@pytest.mark.parametrize("content", [b"no DICOM at all", b"\0" * 128 + b"DICM" + b"\xff" * 40, None])
def test_damaged_and_missing_files_are_told_in_both_languages(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.dcm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ImageError) as caught:
        scan_dicom(path)
    assert caught.value.message != caught.value.message_ar
    assert caught.value.__cause__ is None  # the library's own error may hold a value


def test_a_value_that_the_library_stumbles_over_is_not_quoted(planted: Path, tmp_path: Path) -> None:
    """pydicom's warnings and errors hold the value."""
    content = planted.read_bytes()
    dataset = pydicom.dcmread(planted)
    old = str(dataset.WindowCenter).encode() if "WindowCenter" in dataset else str(dataset.KVP).encode()
    assert old in content
    (tmp_path / "odd.dcm").write_bytes(content.replace(old, b"Q" * len(old)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            export_dicom(tmp_path / "odd.dcm", tmp_path / "o.dcm")
        except ImageError as error:
            assert "QQ" not in error.message
            assert error.__cause__ is None
            assert error.__suppress_context__


def test_the_command_names_attributes_and_no_values(planted: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "phi", str(planted)])
    assert result.exit_code == 1
    assert "PatientName" in result.stdout
    out = tmp_path / "clean.dcm"
    done = CliRunner().invoke(app, ["data", "phi", str(planted), "--redact", "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    counts = json.loads(done.stdout)
    assert counts["findings"]["attributes"] == len(counts["dropped"])
    assert "ZEBULON" not in result.output + done.output
    assert CliRunner().invoke(app, ["data", "phi", str(out)]).exit_code == 0


def soft(seed: int, size: tuple[int, int] = (512, 400)) -> Image.Image:
    """A soft picture with some noise, as a film."""
    generator = np.random.default_rng(seed)
    field = Image.fromarray(generator.normal(size=(8, 8)).astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    values = 90 + 30 * np.asarray(field) + generator.normal(scale=6, size=size[::-1])
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", [12, 16, 24])
@pytest.mark.parametrize("words", ["DOE^JOHN 1965-03-12 ID 0012345", "المريض محمد أحمد العتيبي ملف ١٢٣٤٥٦"])
def test_writing_is_seen_and_a_picture_without_it_is_not_flagged(size: int, words: str) -> None:
    for seed in range(3):
        picture = soft(seed)
        assert not has_writing(np.asarray(picture))
        ImageDraw.Draw(picture).text((10, 10), words, fill=255, font=ImageFont.load_default(size))
        if words.isascii():  # Pillow's own font has no Arabic letters but boxes
            assert has_writing(np.asarray(picture))
    assert not has_writing(np.zeros((6, 6), np.uint8))


def test_images_of_records_are_looked_at_if_asked(tmp_path: Path) -> None:
    picture = soft(1)
    picture.save(tmp_path / "plain.png")
    ImageDraw.Draw(picture).text((10, 10), "DOE^JOHN 1965-03-12 ID 0012345", fill=255, font=ImageFont.load_default(16))
    picture.save(tmp_path / "written.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    turns = (
        Turn(role="user", text="What?", language="en", images=(0, 1, 2)),
        Turn(role="assistant", text="A", language="en"),
    )
    images = tuple(ImageRef(path=f"{name}.png") for name in ("plain", "written", "broken"))
    made = Record(id="a:1", turns=turns, images=images, task="vqa", modality="xray", source="a", licence="MIT")
    write_records(tmp_path / "r.jsonl", [made])
    rows = []
    counts = scan_records(tmp_path / "r.jsonl", rows.append, tmp_path)
    assert [(row.field, row.kind) for row in rows] == [("images[1]", "burned_in"), ("images[2]", "unreadable")]
    assert counts["findings"] == {"burned_in": 1, "unreadable": 1}
    assert picture_notes(Path(get_testdata_file("examples_ybr_color.dcm"))) == ("Modality US",)
