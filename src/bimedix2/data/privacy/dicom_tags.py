"""The DICOM attributes that may leave: how pixels are stored, shown and placed, and how the picture was taken.

An allow-list: PS3.15 table E.1-1 names what has to go, and grows with every edition; what is not named here goes,
whatever it is, private attributes included. Only codes, numbers and pixels are allowed, no free text, names, dates,
times or ages; identifiers of this picture are replaced by new ones.
"""

from __future__ import annotations

from bimedix2.images import dicom_fields

_ACQUIRED = """
SpecificCharacterSet ImageType Laterality ImageLaterality FrameLaterality BodyPartExamined ViewPosition PatientPosition
PatientOrientation SliceThickness SpacingBetweenSlices ImagePositionPatient ImageOrientationPatient SliceLocation
GantryDetectorTilt KVP XRayTubeCurrent ExposureTime Exposure ExposureInuAs FocalSpots
DistanceSourceToDetector DistanceSourceToPatient ReconstructionDiameter ConvolutionKernel ScanOptions
ScanningSequence SequenceVariant
MRAcquisitionType RepetitionTime EchoTime InversionTime FlipAngle MagneticFieldStrength EchoNumbers EchoTrainLength
NumberOfAverages PixelBandwidth ImagingFrequency PercentSampling PercentPhaseFieldOfView InPlanePhaseEncodingDirection
TransducerType MechanicalIndex BoneThermalIndex SoftTissueThermalIndex PixelIntensityRelationship
PixelIntensityRelationshipSign LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
QualityControlImage NumberOfSlices NumberOfPhases FrameIncrementPointer FrameTime CineRate RecognizableVisualFeatures
InstanceNumber AcquisitionNumber
"""
_GROUPS = """
PixelMeasuresSequence PixelValueTransformationSequence FrameVOILUTSequence PlanePositionSequence
PlaneOrientationSequence FrameAnatomySequence LUTDescriptor LUTData
"""
NEW_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Replaced: the same for the same file and secret, so that pictures of one study stay together."""
CODES_OF_ACTS = frozenset(("SOPClassUID",))
"""The only identifiers that stay: they name a kind of picture, not a picture."""
ALLOWED = frozenset((*dicom_fields.KEYWORDS, *_ACQUIRED.split(), *_GROUPS.split()))
KINDS = frozenset(
    ("CS", "DS", "IS", "US", "SS", "UL", "SL", "FD", "FL", "AT", "OB", "OW", "OF", "OD", "OV", "SQ", "SH")
)
"""Value representations that may leave; ``SH`` for the convolution kernel alone."""
SHORT_TEXTS = frozenset(("ConvolutionKernel",))
