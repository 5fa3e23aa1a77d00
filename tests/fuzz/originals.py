"""Sound files that the fuzzing begins with, one function for each target."""

import gzip
import json
import pickle
import shutil
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import CTImageStorage
from safetensors.numpy import save_file

from core.io.dicom.warnings import quiet
from tests.core.io.dicom.make import hu, save, slices
from tests.core.io.test_described import HU, meta, nrrd
from tests.fee.tiny import write_run

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
MAX_BYTES = 400_000
"""Of an original: larger ones make few examples a second."""


def make_series(folder: Path) -> None:
    save(folder, slices(hu((8, 8, 8))))


def make_compressed(folder: Path) -> None:
    """A picture and a slice in each compression that pydicom's own test files have."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(PYDICOM_FILES.glob("*.dcm")):
        if path.stat().st_size > MAX_BYTES or b"\xe0\x7f\x10\x00" not in path.read_bytes():
            continue
        shutil.copy(path, folder)
        with quiet():
            data = pydicom.dcmread(path, force=True)
            if data.get("BitsAllocated") != 16 or "TransferSyntaxUID" not in data.file_meta:
                continue
            data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
            data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
            data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
            data.PixelSpacing = [0.7, 0.8]
            data.save_as(folder / f"ct_{path.name}")


def make_volumes(folder: Path) -> None:
    """NIfTI, NRRD and MetaImage, packed and not."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in (("a.nii", nib.Nifti1Image), ("b.nii", nib.Nifti2Image)):
        nib.save(kind(hu((5, 6, 9)), np.diag([-1, -1, 2, 1])), folder / name)
    (folder / "c.nii.gz").write_bytes(gzip.compress((folder / "a.nii").read_bytes()))
    labels = nib.Nifti1Image((hu((5, 6, 9)) > 0).astype(np.float32), np.eye(4))
    nib.save(labels, folder / "d.nii")
    for packed in (False, True):
        data = gzip.compress(HU.tobytes()) if packed else HU.tobytes()
        nrrd(folder / f"e{packed}.nrrd", data, encoding="gzip" if packed else "raw")
        data = zlib.compress(HU.tobytes()) if packed else HU.tobytes()
        meta(folder / f"f{packed}.mha", data, CompressedData=str(packed))


def make_pictures(folder: Path) -> None:
    """Images and masks in each format, in the layout `images/`, `masks/`."""
    random = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    pixels = random.integers(0, 256, (24, 32, 3), np.uint8)
    mask = np.zeros((24, 32), np.uint8)
    mask[8:14, 10:20] = 255
    for number, ending in enumerate(("png", "jpg", "bmp", "tif", "gif", "webp")):
        Image.fromarray(pixels).save(folder / "images" / f"{number}.{ending}")
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    deep = random.integers(0, 65536, (24, 32), np.uint16)
    Image.fromarray(deep).save(folder / "images" / "9.png")
    Image.fromarray(mask).convert("P").save(folder / "masks" / "9.png")


def make_dataset(folder: Path) -> None:
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for id_ in ("a_01", "b_02", "c_03"):
        image = nib.Nifti1Image(hu((4, 5, 6)), np.eye(4))
        nib.save(image, folder / "imagesTr" / f"{id_}_0000.nii.gz")
        label = nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.eye(4))
        nib.save(label, folder / "labelsTr" / f"{id_}.nii.gz")
    described = {
        "name": "x",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "pancreas": 1, "tumor": 2},
        "numTraining": 3,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(described))
    folds = [{"train": ["a_01", "b_02"], "val": ["c_03"]}]
    (folder / "splits_final.json").write_text(json.dumps(folds))


def make_archive(folder: Path) -> None:
    make_series(folder / "series")
    with zipfile.ZipFile(folder / "study.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted((folder / "series").iterdir()):
            packed.write(path, f"inner/{path.name}")
    shutil.rmtree(folder / "series")


def make_run(folder: Path) -> None:
    write_run(folder, "segment")


def make_weights(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    tensors = {f"layer{i}.weight": random.normal(size=(3, 4)).astype(np.float32) for i in range(3)}
    save_file(tensors, folder / "w.safetensors")
    (folder / "splits.pkl").write_bytes(pickle.dumps({"train": ["a"], "mean": np.ones(3)}))
    (folder / "results.json").write_text(json.dumps({"version": 3, "cases": [{"id": "a"}]}))
