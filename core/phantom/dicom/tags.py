"""Tags that all DICOM objects of a phantom's study share; every identity in them is invented."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.phantom.ct.patient import stream
from core.phantom.ct.phantom import Phantom

SCAN_START_S = 10 * 3600  # contrast is injected at 10:00:00


def uid(phantom: Phantom, *parts: object) -> str:
    """Unique identifier, a function of the phantom's seed and of the names of the object alone."""
    grid = (phantom.seed, phantom.tumor_diameter_mm, phantom.label.shape, phantom.label.spacing_mm)
    return generate_uid(entropy_srcs=[repr(grid), *map(str, parts)])


def clock(seconds_after_contrast: float) -> str:
    """DICOM time, HHMMSS."""
    seconds = int(SCAN_START_S + seconds_after_contrast)
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def new_object(
    phantom: Phantom, sop_class: str, *, modality: str, series: int, name: str, instance: int
) -> Dataset:
    """DICOM object with file meta information and the patient, study, series and equipment modules.

    Args:
      phantom: whose study it is.
      sop_class: UID of the storage class.
      modality: "CT", "SR" or "DOC".
      series: its number within the study.
      name: series description.
      instance: its number within the series.
    """
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid(phantom, "instance", series, instance)
    ds.StudyInstanceUID = uid(phantom, "study")
    ds.SeriesInstanceUID = uid(phantom, "series", series)
    ds.SeriesNumber, ds.InstanceNumber = series, instance
    ds.SeriesDescription, ds.Modality = name, modality
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = "20200101"
    ds.StudyTime, ds.SeriesTime, ds.ContentTime = clock(-600), clock(series), clock(series)
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", "", ""
    ds.StudyDescription = "CT ABDOMEN PANCREAS PROTOCOL"
    ds.Manufacturer, ds.ManufacturerModelName = "Panjax", "Abdomen phantom"
    ds.InstitutionName = "Synthetic Hospital"
    _identify(ds, phantom)
    return ds


def _identify(ds: Dataset, phantom: Phantom) -> None:
    rng = stream(phantom.seed, "identity")
    ds.PatientName = f"PHANTOM^{phantom.seed}"
    ds.PatientID = f"PHANTOM-{phantom.seed}"
    ds.PatientSex = str(rng.choice(["F", "M"]))
    ds.PatientAge = f"{rng.integers(35, 86):03d}Y"
    ds.PatientBirthDate = ""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "synthetic patient"


def set_pixels(ds: Dataset, stored: NDArray[np.uint16]) -> None:
    """Twelve-bit pixels (rows, columns), HU + 1024."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = stored.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 40, 400
    ds.PixelData = np.ascontiguousarray(stored, "<u2").tobytes()


def save(ds: Dataset, folder: Path) -> None:
    """Write an object as IM00001.dcm in the folder of its series."""
    place = folder / f"SE{ds.SeriesNumber:03d}"
    place.mkdir(parents=True, exist_ok=True)
    ds.save_as(place / f"IM{ds.InstanceNumber:05d}.dcm", enforce_file_format=True)
