"""The one place that reads who a patient is: to keep patients apart, and for users who ask."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.dataset import Dataset

from core.io.dicom.header import DAMAGED
from core.io.dicom.warnings import quiet


class StudyKey(NamedTuple):
    """Which patient and study a file is of, for comparison alone.

    Args:
      patient: hash of the PatientID; "" where the header has none.
      study: hash of the StudyInstanceUID; "" where the header has none.
      date: StudyDate, by which studies are ordered; never written anywhere.
    """

    patient: str = ""
    study: str = ""
    date: str = ""


def patient_id(path: Path) -> str:
    """PatientID of a DICOM file; empty where it has none, or is no DICOM file."""
    return _text(_header(path, "PatientID"), "PatientID")


def study_key(path: Path) -> StudyKey:
    """Patient and study of a DICOM file, hashed; all empty where it cannot be read."""
    header = _header(path, "PatientID", "StudyInstanceUID", "StudyDate")
    return StudyKey(
        _hash(_text(header, "PatientID")),
        _hash(_text(header, "StudyInstanceUID")),
        _text(header, "StudyDate"),
    )


def frame_of_reference(path: Path) -> str:
    """FrameOfReferenceUID of a DICOM file, hashed; empty where it has none or cannot be read."""
    tag = "FrameOfReferenceUID"
    return _hash(_text(_header(path, tag), tag))


def _header(path: Path, *tags: str) -> Dataset:
    with quiet():
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
        except DAMAGED:
            return Dataset()


def _text(header: Dataset, tag: str) -> str:
    with quiet():
        try:
            return str(header.get(tag) or "").strip()
        except DAMAGED:  # pydicom converts a value, and fails, on first access
            return ""


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text else ""
