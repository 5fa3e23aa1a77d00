"""Ultrasound frames as the DICOM object a machine sends: a picture, or a clip of several frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from core.atomic import aside
from core.volume import Frame

TISSUE, TWO_DIMENSIONAL, CENTIMETER = 1, 1, 3  # codes of DICOM PS3.3, C.8.5.5
FRAME_TIME_MS = 40.0


def write_dicom_picture(
    path: str | Path, frames: Sequence[Frame], *, seed: int, instance: int = 0
) -> Path:
    """Write gray or RGB frames, with their spacing as an ultrasound region.

    Args:
      path: the file; equal arguments write equal bytes.
      frames: one picture, or those of a clip, of one shape and spacing.
      seed: of the patient, whose study it is.
      instance: its number in the study.
    """
    ds, first = _new_object(seed, instance, is_clip=len(frames) > 1), frames[0]
    ds.Rows, ds.Columns = first.shape
    colored = first.array.ndim == 3
    ds.SamplesPerPixel = 3 if colored else 1
    ds.PhotometricInterpretation = "RGB" if colored else "MONOCHROME2"
    if colored:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    if first.spacing_mm is not None:
        ds.SequenceOfUltrasoundRegions = [_region(first.shape, first.spacing_mm)]
    if len(frames) > 1:
        ds.NumberOfFrames, ds.FrameTime = len(frames), FRAME_TIME_MS
        ds.FrameIncrementPointer = 0x00181063  # the frame time
    pixels = np.stack([frame.array for frame in frames]).tobytes()
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    with aside(path) as temporary:
        ds.save_as(temporary, enforce_file_format=True)
    return Path(path)


def _new_object(seed: int, instance: int, *, is_clip: bool) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage if is_clip else UltrasoundImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["ultrasound", str(seed), str(instance)])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=["ultrasound study", str(seed)])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=["ultrasound series", str(seed)])
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "US", 1, instance + 1
    ds.PatientName, ds.PatientID = f"PHANTOM^{seed}", f"PHANTOM-{seed}"
    ds.PatientBirthDate = ds.PatientSex = ds.AccessionNumber = ds.ReferringPhysicianName = ""
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20200101"
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = "100000"
    ds.StudyID, ds.Manufacturer, ds.ImageType = "1", "Panjax", ["ORIGINAL", "PRIMARY"]
    ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "synthetic patient"
    return ds


def _region(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> Dataset:
    """The whole picture as one two-dimensional region of tissue, in centimeters."""
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = (
        TWO_DIMENSIONAL,
        TISSUE,
        0,
    )
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = shape[1] - 1, shape[0] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = CENTIMETER
    region.PhysicalDeltaY, region.PhysicalDeltaX = (s / 10 for s in spacing_mm)
    return region
