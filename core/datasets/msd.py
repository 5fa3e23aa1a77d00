"""The Medical Segmentation Decathlon (Task07_Pancreas, …) and its offspring, nnU-Net v1.

    dataset.json {"training": [{"image": "./imagesTr/pancreas_001.nii.gz", "label": …}], …}

nnU-Net v1 writes the same list while its files carry the channel: `pancreas_001_0000.nii.gz`.

Source: http://medicaldecathlon.com
"""

import os
from collections.abc import Mapping, Sequence
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
from core.io.paths import Skipped, is_shadow, on_disk, unique_ids
from core.io.volume_file import ENDINGS
from core.json_io import read_json
from core.names import normal


def read_msd(root: Path) -> Dataset:
    """Training cases of a `TaskXX_Name` folder.

    Args:
      root: the folder that holds `dataset.json`.

    Returns:
      Cases whose image and label are there; the others are in `skipped`.

    Raises:
      InputError: `dataset.json` is missing or damaged.
    """
    path = root / "dataset.json"
    description = read_json(path)
    channels = channel_names(description, path)
    cases: dict[str, Case] = {}
    skipped = []
    entries = [_entry(root, entry, path) for entry in description["training"]]
    ids = _ids(root, [image for image, _ in entries], path)
    for image, label in entries:
        case_id = ids[image]
        images = _channels(image, len(channels), path)
        if case_id in cases:
            skipped.append(Skipped(image, "listed twice in dataset.json"))
        elif missing := [file for file in (*images, label) if not file.is_file()]:
            skipped.append(Skipped(missing[0], "listed in dataset.json, but missing", True))
        else:
            cases[case_id] = Case(case_id, case_id, images, label)
    used = {file for case in cases.values() for file in case.images}
    for image in sorted((root / "imagesTr").glob("*")):
        if image not in used:
            reason = "macOS shadow file" if is_shadow(image) else "not listed in dataset.json"
            skipped.append(Skipped(image, reason))
    return Dataset(
        name=str(description.get("name", root.name)),
        root=root,
        label_ids=label_ids(description.get("labels"), path),
        channels=channels,
        cases=tuple(cases[c] for c in sorted(cases)),
        splits=read_folds(root, cases, ids.values()),
        skipped=tuple(skipped),
    )


def _entry(root: Path, entry: Mapping[str, Any], path: Path) -> tuple[Path, Path]:
    try:
        return on_disk(root / entry["image"]), on_disk(root / entry["label"])
    except (KeyError, TypeError):
        raise InputError(
            f'"training" must list {{"image": "…", "label": "…"}}; got {entry}', path=path
        ) from None


def _ids(root: Path, images: Sequence[Path], path: Path) -> dict[Path, str]:
    """Id of each image: its file name, or where images share one, its path below the root."""
    images = list(dict.fromkeys(images))
    split = [_split_ending(image, path) for image in images]
    names = [normal(stem) for stem, _ in split]
    if len(set(names)) < len(names):
        places = (os.path.relpath(image, root) for image in images)
        below = [place.removesuffix(end) for place, (_, end) in zip(places, split, strict=True)]
        names = unique_ids(below, instead="case")
    return dict(zip(images, names, strict=True))


def _channels(image: Path, num_channels: int, path: Path) -> tuple[Path, ...]:
    """The listed file itself, or the files of nnU-Net v1 with the channel in their names."""
    if image.is_file():
        return (image,)
    stem, ending = _split_ending(image, path)
    numbered = tuple(image.with_name(f"{stem}_{c:04d}{ending}") for c in range(num_channels))
    return numbered if numbered[0].is_file() else (image,)


def _split_ending(image: Path, path: Path) -> tuple[str, str]:
    for ending in ENDINGS:
        if image.name.endswith(ending):
            return image.name.removesuffix(ending), ending
    raise InputError(f"{image.name} is no volume; supported are {list(ENDINGS)}", path=path)
