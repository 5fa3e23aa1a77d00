"""CT series with known voxels and geometry, written file by file."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)
SECRET = "SECRET^NAME"


def hu(shape=(10, 6, 8), seed=0):
    return np.random.default_rng(seed).integers(-1000, 2000, shape, np.int16)


def slices(
    values=None, *, series="A", orientation=AXIAL, step_mm=None, spacing_mm=(0.7, 0.8), **changes
):
    """Datasets of a series; slice k lies at k · step_mm, and shows values[k] in HU."""
    values = hu() if values is None else values
    normal = np.cross(orientation[:3], orientation[3:])
    step = np.asarray(2.5 * normal if step_mm is None else step_mm)
    return [
        one_slice(
            v,
            position=k * step - (50, 60, 70),
            number=k + 1,
            series=series,
            orientation=orientation,
            spacing_mm=spacing_mm,
            **changes,
        )
        for k, v in enumerate(values)
    ]


def one_slice(values, *, position, number, series, orientation, spacing_mm, **changes):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = CTImageStorage
    d.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number), str(position)])
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
    d.StudyInstanceUID = generate_uid(entropy_srcs=["study"])
    d.SeriesInstanceUID = generate_uid(entropy_srcs=[series])
    d.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame of reference"])
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = SECRET, "SECRET7", "", ""
    d.StudyDate = d.StudyTime = d.AccessionNumber = d.StudyID = d.ReferringPhysicianName = ""
    d.SeriesDate = d.AcquisitionDate = d.ContentDate = "20200101"
    d.SeriesTime = d.AcquisitionTime = d.ContentTime = "120000"
    d.PositionReferenceIndicator = ""
    d.Manufacturer, d.Modality, d.SeriesNumber, d.InstanceNumber = "panjax", "CT", 1, number
    d.SeriesDescription, d.ImageType = "venous", ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.ImagePositionPatient = [float(p) for p in position]
    d.ImageOrientationPatient = [float(o) for o in orientation]
    d.PixelSpacing, d.SliceThickness = list(spacing_mm), 9.0  # the thickness is no spacing
    d.AcquisitionNumber, d.KVP = 1, "120"
    d.RescaleSlope, d.RescaleIntercept, d.RescaleType = 1, -1024, "HU"
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = values.shape
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    d.PixelData = (values.astype(np.int32) + 1024).astype(np.int16).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(d, name)
        else:
            setattr(d, name, value)
    return d


def enhanced(frames, **changes):
    """One multi-frame file of (height, HU, elements of the frame content and `rescale`)."""
    (base,) = slices(hu((1, 6, 8)))
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(base, name)
    for name in ("AcquisitionNumber", "RescaleSlope", "RescaleIntercept", "RescaleType"):
        delattr(base, name)
    base.SOPClassUID = base.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, orientation.ImageOrientationPatient = [0.7, 0.8], list(AXIAL)
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    base.SharedFunctionalGroupsSequence, groups = [shared], []
    for mm, _, content in frames:
        group, position, transformation, named = (Dataset() for _ in range(4))
        position.ImagePositionPatient = [0, 0, float(mm)]
        slope, intercept = content.pop("rescale", (1, -1024))
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, intercept
        transformation.RescaleType = "HU"
        for name, value in content.items():
            setattr(named, name, value)
        group.PlanePositionSequence, group.FrameContentSequence = [position], [named]
        group.PixelValueTransformationSequence = [transformation]
        groups.append(group)
    base.PerFrameFunctionalGroupsSequence, base.NumberOfFrames = groups, len(groups)
    stored = np.stack([pixels for _, pixels, _ in frames]).astype(np.int32) + 1024
    base.PixelData = stored.astype(np.int16).tobytes()
    for name, value in changes.items():
        setattr(base, name, value)
    return base


def save(folder: Path, datasets, *, order=None) -> Path:
    """Write datasets under names that tell nothing about their order."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(1).permutation(len(datasets)) if order is None else order
    for name, dataset in zip(order, datasets, strict=True):
        pydicom.dcmwrite(folder / f"I{name:03d}", dataset, enforce_file_format=True)
    return folder


def undecodable(datasets):
    """Fragments that are whole, and no pixels."""
    for d in datasets:
        d.file_meta.TransferSyntaxUID = RLELossless
        d.PixelData = encapsulate([bytes(20)])
        d["PixelData"].is_undefined_length = True
    return datasets
