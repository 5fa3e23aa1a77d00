"""DICOM-SEG: a segmentation that a viewer shows on the series it was made from."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, generate_uid

from core.atomic import aside
from core.errors import InputError
from core.io.dicom.header import DAMAGED
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.warnings import quiet

REFERENCED = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)

_ORGAN = codes.SCT.AnatomicalStructure
_LESION = codes.SCT.MorphologicallyAbnormalStructure
# What a label name is called in SNOMED CT: (category, type).
TERMS: Mapping[str, tuple[Code, Code]] = {
    "pancreas": (_ORGAN, codes.SCT.Pancreas),
    "tumor": (_LESION, codes.SCT.Neoplasm),
    "duct": (_ORGAN, codes.SCT.PancreaticDuct),
    "pancreatic duct": (_ORGAN, codes.SCT.PancreaticDuct),
    "lymph node": (_ORGAN, codes.SCT.LymphNode),
}


# A list of what stays: modules on patient, study and equipment have a hundred attributes.
ANONYMOUS_TAGS = frozenset(
    (
        *REFERENCED,
        "Modality",
        "ImageType",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "PixelSpacing",
        "SliceThickness",
        "SpacingBetweenSlices",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "LossyImageCompression",
        "LossyImageCompressionRatio",
        "LossyImageCompressionMethod",
        "DimensionOrganizationSequence",
        "DimensionIndexSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    )
)
"""All that an anonymous segmentation is told of its source: references and geometry."""
EMPTY_TAGS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
"""Attributes that DICOM wants in every file, if without a value (type 2)."""


def write_seg(
    path: Path,
    frames: Sequence[SliceHeader],
    labels: NDArray,
    names: Mapping[int, str],
    *,
    anonymous: bool = False,
) -> Path:
    """Write a binary DICOM-SEG that references its source images; equal input, equal UIDs.

    It belongs to the study of its source and carries the patient's tags, so that an archive files
    it beside the images. Segments are numbered from 1 in the order of their ids, one per name, also
    where a label is absent; DICOM leaves no other choice.

    Args:
      path: where to; the file appears whole or not at all.
      frames: the source series, sorted as `labels` is.
      labels: ids (D, H, W); ids without a name are background.
      names: id to label name, without background.
      anonymous: copy nothing of the source but `ANONYMOUS_TAGS`, so no attribute of patient,
        study, institution or scanner. The UIDs of study, series, images and frame of reference
        stay, since a viewer finds the images by them: they identify the patient to whoever can
        look them up in the archive.

    Returns:
      The path written.

    Raises:
      InputError: the source lacks what a reference to it needs.
    """
    with quiet():
        headers = _source_headers(frames)
        if anonymous:
            _anonymize(headers)
        planes = _number(labels, sorted(names))
        if "NumberOfFrames" in headers[0]:
            planes = _spread(planes, frames, int(headers[0].NumberOfFrames))
        try:
            segmentation = _encode(headers, planes, [names[i] for i in sorted(names)])
        except DAMAGED as error:
            raise InputError(
                f"the headers lack what it needs ({type(error).__name__})",
                path=frames[0].path.parent,
            ) from error
        with aside(path) as temporary:
            segmentation.save_as(temporary)
    return path


def _source_headers(frames: Sequence[SliceHeader]) -> list[Dataset]:
    paths = list(dict.fromkeys(f.path for f in frames))
    headers: list[Dataset] = [
        pydicom.dcmread(p, stop_before_pixels=True, force=True) for p in paths
    ]
    for name in REFERENCED:
        if not all(UID(str(h.get(name) or "")).is_valid for h in headers):
            raise InputError(
                f"the images have no valid {name} to refer to",
                path=frames[0].path.parent,
            )
    return headers


def _anonymize(headers: Sequence[Dataset]) -> None:
    """Reduce headers as read to `ANONYMOUS_TAGS`; private elements have no keyword and go too."""
    for header in headers:
        for tag in list(header.keys()):
            if keyword_for_tag(tag) not in ANONYMOUS_TAGS:
                del header[tag]
        for name in EMPTY_TAGS:
            setattr(header, name, None)


def _number(labels: NDArray, ids: Sequence[int]) -> NDArray[np.uint8]:
    numbered = np.zeros(labels.shape, np.uint8)
    for number, i in enumerate(ids, start=1):
        numbered[labels == i] = number
    return numbered


def _spread(planes: NDArray, frames: Sequence[SliceHeader], num_frames: int) -> NDArray:
    """Put each plane where the multi-frame source has it."""
    spread = np.zeros((num_frames, *planes.shape[1:]), planes.dtype)
    spread[[f.index for f in frames]] = planes
    return spread


def _encode(headers: list[Dataset], planes: NDArray, names: Sequence[str]) -> Segmentation:
    content = hashlib.sha256(planes.tobytes()).hexdigest()
    sources = [str(h.SOPInstanceUID) for h in headers]

    def uid(purpose: str) -> str:
        return generate_uid(entropy_srcs=[purpose, content, *sources, *names])

    return Segmentation(
        source_images=headers,
        pixel_array=planes,
        segmentation_type="BINARY",
        segment_descriptions=[_describe(n, name) for n, name in enumerate(names, start=1)],
        series_instance_uid=uid("series"),
        series_number=1000,
        sop_instance_uid=uid("instance"),
        instance_number=1,
        manufacturer="panjax",
        manufacturer_model_name="panjax",
        software_versions=version("panjax"),
        device_serial_number="1",
        content_label="SEGMENTATION",
    )


def _describe(number: int, name: str) -> SegmentDescription:
    category, kind = TERMS.get(name, (_ORGAN, codes.SCT.Tissue))
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="panjax", version=version("panjax"), family=codes.DCM.ArtificialIntelligence
        ),
    )
