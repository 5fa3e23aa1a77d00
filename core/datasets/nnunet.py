r"""The raw format of nnU-Net v2.

    dataset.json  imagesTr/CASE_0000.nii.gz [CASE_0001.nii.gz …]  labelsTr/CASE.nii.gz

Case ids may hold underscores and may themselves end in four digits (`100000_00001_0000.nii.gz`), so
the channel is exactly the last `_\d{4}` before the ending.

Source: https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.datasets.case import (
    Case,
    Dataset,
    channel_names,
    label_ids,
)
from core.datasets.prescribed_folds import read_folds
from core.errors import InputError
from core.io.paths import Skipped, is_shadow, on_disk
from core.io.volume_file import ENDINGS
from core.json_io import read_json
from core.names import normal

VOXEL_FILES = (".raw", ".zraw")

Files = tuple[dict[str, Path], Path]  # channel ("0000") to image, and the label


def read_nnunet(root: Path) -> Dataset:
    """Training cases of a `DatasetXXX_Name` folder.

    Args:
      root: the folder that holds `dataset.json`.

    Returns:
      Cases with all channels and a label; the others are in `skipped`.

    Raises:
      InputError: `dataset.json` is missing, damaged or asks for what is not supported.
    """
    path = root / "dataset.json"
    description = read_json(path)
    channels = channel_names(description, path)
    if "dataset" in description:
        files, skipped = _listed(root, description["dataset"], path)
    else:
        files, skipped = _found(root, _ending(description, path))
    cases = []
    for case_id, (images, label) in sorted(files.items()):
        wanted = [f"{c:04d}" for c in range(len(channels))]
        if problem := _problem(images, label, wanted):
            skipped.append(Skipped(images.get("0000", label), problem, label.is_file()))
            continue
        cases.append(Case(case_id, case_id, tuple(images[c] for c in wanted), label))
    return Dataset(
        name=str(description.get("name", root.name)),
        root=root,
        label_ids=label_ids(description.get("labels"), path),
        channels=channels,
        cases=tuple(cases),
        splits=read_folds(root, {c.id for c in cases}, files),
        skipped=tuple(skipped),
    )


def _ending(description: Mapping[str, Any], path: Path) -> str:
    ending = description.get("file_ending")
    if ending not in ENDINGS:
        raise InputError(
            f'"file_ending" is {ending!r}; supported are {list(ENDINGS)}',
            path=path,
            hint="convert the images to NIfTI",
        )
    return ending


def _problem(images: Mapping[str, Path], label: Path, wanted: list[str]) -> str:
    missing = [c for c in wanted if c not in images or not images[c].is_file()]
    if missing:
        return f"image channel {', '.join(missing)} is missing"
    return "" if label.is_file() else f"label {label.name} is missing"


def _found(root: Path, ending: str) -> tuple[dict[str, Files], list[Skipped]]:
    """Group the files of imagesTr by case."""
    files: dict[str, Files] = {}
    skipped = []
    for image in sorted((root / "imagesTr").glob("*")):
        match = re.fullmatch(rf"(.+)_(\d{{4}}){re.escape(ending)}", image.name)
        if is_shadow(image) or image.name.startswith("."):
            skipped.append(Skipped(image, "hidden or macOS shadow file"))
        elif match is None and image.suffix.lower() in VOXEL_FILES:
            continue  # read through its header
        elif match is None:
            skipped.append(Skipped(image, f"not named CASE_0000{ending}"))
        else:
            case_id, channel = normal(match[1]), match[2]
            label = on_disk(root / "labelsTr" / f"{match[1]}{ending}")
            images, _ = files.setdefault(case_id, ({}, label))
            if channel in images:
                skipped.append(Skipped(image, f"has the name of {images[channel]}", True))
            else:
                images[channel] = image
    labels = {label for _, label in files.values()}
    for label in sorted((root / "labelsTr").glob(f"*{ending}")):
        if label not in labels and not is_shadow(label):
            skipped.append(Skipped(label, "label without an image", True))
    return files, skipped


def _listed(root: Path, listed: object, path: Path) -> tuple[dict[str, Files], list[Skipped]]:
    """Cases of the key "dataset", which stands in for the folders."""
    files: dict[str, Files] = {}
    try:
        for case_id, entry in listed.items():  # type: ignore[attr-defined]
            images = {f"{c:04d}": _resolve(root, name) for c, name in enumerate(entry["images"])}
            if normal(case_id) in files:
                raise InputError(f"two cases are called {case_id!r}", path=path)
            files[normal(case_id)] = (images, _resolve(root, entry["label"]))
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            '"dataset" must be like {"CASE": {"images": ["…"], "label": "…"}}', path=path
        ) from None
    return files, []


def _resolve(root: Path, name: str) -> Path:
    return on_disk(root / os.path.expandvars(name))
