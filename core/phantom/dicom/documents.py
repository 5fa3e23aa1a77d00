"""What lies in a study beside its images: a dose page, a structured report and its PDF."""

import io
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from pydicom.dataset import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    SecondaryCaptureImageStorage,
)

from core.phantom.ct.phantom import Phantom
from core.phantom.dicom.tags import new_object, save

PAGE_SIZE = (512, 512)


def write_dose_page(folder: Path, phantom: Phantom, series: int) -> None:
    """A screenshot of the scanner's dose table: RGB, no position, and yet Modality CT."""
    ds = new_object(
        phantom,
        SecondaryCaptureImageStorage,
        modality="CT",
        series=series,
        name="Dose Report",
        instance=1,
    )
    ds.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    ds.ConversionType, ds.BurnedInAnnotation = "WSD", "YES"
    page = np.asarray(_page(["Dose Report", "Series  Type     CTDIvol  DLP", *_dose_rows()]))
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = page.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = page.tobytes()
    save(ds, folder)


def write_report(folder: Path, phantom: Phantom, series: int) -> None:
    """Write the radiology report, as a DICOM structured report and as an encapsulated PDF."""
    sr = new_object(
        phantom, BasicTextSRStorage, modality="SR", series=series, name="Report", instance=1
    )
    sr.CompletionFlag, sr.VerificationFlag = "COMPLETE", "UNVERIFIED"
    sr.ValueType, sr.ContinuityOfContent = "CONTAINER", "SEPARATE"
    sr.ReferencedPerformedProcedureStepSequence, sr.PerformedProcedureCodeSequence = [], []
    sr.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic Imaging Report")]
    sr.ContentSequence = [_finding(text) for text in findings(phantom)]
    save(sr, folder)
    pdf = new_object(
        phantom,
        EncapsulatedPDFStorage,
        modality="DOC",
        series=series + 1,
        name="Report PDF",
        instance=1,
    )
    pdf.ConversionType, pdf.BurnedInAnnotation = "SYN", "YES"
    pdf.MIMETypeOfEncapsulatedDocument, pdf.DocumentTitle = "application/pdf", "Report"
    pdf.AcquisitionDateTime, pdf.ConceptNameCodeSequence = "", []
    document = _pdf(["CT abdomen", *findings(phantom)])
    pdf.EncapsulatedDocumentLength = len(document)
    pdf.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    save(pdf, folder)


def findings(phantom: Phantom) -> list[str]:
    """Lines of the findings section of the radiology report."""
    if phantom.tumor_diameter_mm is None:
        return ["Pancreas of normal appearance.", "No pancreatic mass."]
    return [
        f"Hypoattenuating mass in the pancreatic {phantom.tumor_location}, "
        f"{phantom.tumor_diameter_mm:.0f} mm.",
        "Pancreatic duct dilated upstream of the mass.",
    ]


def _dose_rows() -> list[str]:
    return ["1       Scout    0.05     2", "2       Helical  8.4      310"]


def _finding(text: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.TextValue = "CONTAINS", "TEXT", text
    item.ConceptNameCodeSequence = [_code("121071", "DCM", "Finding")]
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _page(lines: Sequence[str]) -> Image.Image:
    """Gray image with lines of white text on a black background."""
    page = Image.new("RGB", PAGE_SIZE)
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        draw.text((16, 16 + 24 * row), line, fill=(255, 255, 255))
    return page


def _pdf(lines: Sequence[str]) -> bytes:
    buffer, epoch = io.BytesIO(), time.gmtime(0)
    _page(lines).save(buffer, "PDF", creationDate=epoch, modDate=epoch)
    return buffer.getvalue()
