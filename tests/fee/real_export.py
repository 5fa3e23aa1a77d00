"""A folder as a hospital may hand it over, made of real files."""

import shutil
from pathlib import Path

from core.phantom.ct.phantom import make
from core.phantom.dicom.documents import write_report


def write_real_export(folder: Path, shared_data: Path) -> Path:
    """Real series, real failures of loaders, a text, a truncated file and a PDF."""
    series = shared_data / "ct_abdomen" / "example_ct_dicom"
    shutil.copytree(series, folder / "ct")
    shutil.copytree(shared_data / "dicom_cases", folder / "cases")
    (folder / "README").write_text("hello")
    (folder / "damaged").mkdir()
    whole = sorted(series.iterdir())[0].read_bytes()
    (folder / "damaged" / "IM1.dcm").write_bytes(whole[: len(whole) // 2])
    phantom = make(0, shape=(10, 32, 32), spacing_mm=(8, 12, 12), tumor_diameter_mm=None)
    write_report(folder / "report", phantom, 100)
    return folder
