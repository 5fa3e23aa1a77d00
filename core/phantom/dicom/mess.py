"""What makes an exported study hard to read: foreign files, missing endings, zips, languages."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

NAMES: tuple[Mapping[str, str], ...] = (
    {"arterial": "Arterial Phase", "venous": "Venous Phase"},
    {"arterial": "Abdomen arteriell 5.0 B30f", "venous": "Abdomen portalvenös 5.0 B30f"},
    {"arterial": "上腹部 动脉期", "venous": "上腹部 静脉期"},
)
"""Series descriptions by phase, as scanners in three countries write them."""
README = "Images for the referring physician. Open the viewer on this disc.\n"
ZIP_TIME = (2020, 1, 1, 0, 0, 0)


def add_clutter(folder: Path) -> None:
    """Add files that hospital discs hold beside a study: DICOMDIR, README, one without ending."""
    _write_directory(folder / "DICOMDIR")
    (folder / "README.TXT").write_text(README, encoding="utf-8")
    (folder / "VERSION").write_bytes(b"\x01\x00viewer\x00")


def drop_endings(folder: Path) -> None:
    """Rename IM00001.dcm to IM00001, as discs have it."""
    for path in sorted(folder.rglob("*.dcm")):
        path.rename(path.with_suffix(""))


def zip_study(folder: Path) -> Path:
    """Put a study into `<folder>.zip` and remove the folder; equal studies give equal bytes."""
    target = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    shutil.rmtree(folder)
    return target


def _write_directory(path: Path) -> None:
    """Write an empty DICOMDIR: valid DICOM, but no image."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["panjax directory"])
    ds.FileSetID = "PHANTOM"
    ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    ds.FileSetConsistencyFlag, ds.DirectoryRecordSequence = 0, []
    ds.save_as(path, enforce_file_format=True)
