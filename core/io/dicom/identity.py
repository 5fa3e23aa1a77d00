"""The one place that reads who a patient is, for users who ask for it."""

from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from core.io.dicom.warnings import quiet


def patient_id(path: Path) -> str:
    """PatientID of a DICOM file; empty where it has none, or is no DICOM file."""
    with quiet():
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
        except InvalidDicomError:
            return ""
    return str(header.get("PatientID") or "")
