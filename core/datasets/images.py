"""Read a data set of images and masks, its layout recognised from its files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from core.datasets.case import ImageCase, ImageDataset, patient_of
from core.datasets.iaeus import pair_exams
from core.datasets.image_files import Found, Layout, ids_of, sort_out
from core.datasets.image_folders import pair_folders, pair_suffixes
from core.datasets.image_table import Rows, find_table, read_table
from core.errors import InputError
from core.io.image.mask import read_mask
from core.io.image.still import orientation_of
from core.io.images import read_frames, source_of
from core.io.paths import Skipped, files_at, natural, summary
from core.volume import Frame

LAYOUTS = (pair_exams, pair_folders, pair_suffixes)
# "malignant_069" and "benign (12)" are of a class that only the name tells.
_NAMED_CLASS = re.compile(r"(benign|malignant|normal)(?![a-z])", re.IGNORECASE)


def read_images(
    data: str | Path, *, patient_pattern: str | None = None, patients: Path | None = None
) -> ImageDataset:
    r"""Read a data set of images and masks.

    Args:
      data: a folder of any layout of `image_folders` or `iaeus`, with or without a table
        `image,patient,stage,location` in it.
      patient_pattern: regular expression whose first group is the patient in an image's id, such
        as `(\w+)_\d+`; it stands in for a table without patients.
      patients: table `image,patient,…` that lies elsewhere than in the folder.

    Returns:
      At least one image, and everything that was left out with its reason.

    Raises:
      InputError: the folder is missing, of no known layout, or without a usable image.
    """
    root = Path(data)
    if not root.is_dir():
        raise InputError("no such folder", path=root)
    pictures, skipped = sort_out(files_at(root))
    layout = next((paired for pair in LAYOUTS if (paired := pair(pictures, root))), None)
    if layout is None:
        raise InputError(
            "no images with masks",
            path=root,
            hint="expected images/ and masks/ with files of the same names, or a.png, a_mask.png",
        )
    if not layout.found:
        raise InputError(f"no usable image: {summary(layout.skipped)}", path=root)
    return _dataset(root, layout, skipped, patient_pattern, patients or find_table(root))


def read_case(case: ImageCase) -> tuple[Frame, Bool[np.ndarray, "h w"]]:
    """Image of a case, and where its tumor is, (H, W).

    Raises:
      InputError: a file cannot be read, they do not fit each other, or the image is a clip.
    """
    source = source_of(case.image)
    if source.is_clip:
        raise InputError("holds several frames, and a mask fits one", path=case.image)
    frame = next(read_frames(source))
    is_image = source.kind == "image"
    return frame, read_mask(
        case.masks,
        shape=frame.shape,
        image_path=case.image,
        orientation=orientation_of(case.image)[0] if is_image and case.masks else 1,
        lesion_value=case.lesion_value,
    )


def _dataset(
    root: Path,
    layout: Layout,
    skipped: list[Skipped],
    pattern: str | None,
    table: Path | None,
) -> ImageDataset:
    images_with_masks = sorted(layout.found, key=lambda f: natural(f.image))
    images = [f.image for f in images_with_masks]
    rows, unknown = read_table(table, images, root) if table else ({}, [])
    absent = [Skipped(root / name, "in the table, but no usable image") for name in unknown]
    other_files = [s for s in skipped if s.path != table]
    ids = ids_of(images, root)
    return ImageDataset(
        name=root.resolve().name,
        root=root,
        layout=layout.name,
        cases=tuple(
            _case(case_id, pair, rows.get(pair.image, {}), root, pattern)
            for case_id, pair in zip(ids, images_with_masks, strict=True)
        ),
        knows_patients=pattern is not None or _all_known(images_with_masks, rows),
        skipped=tuple(other_files + layout.skipped + absent),
    )


def _case(
    case_id: str, pair: Found, row: Mapping[str, str], root: Path, pattern: str | None
) -> ImageCase:
    """Merge the metadata of one image: the table has priority, then folders, then the file name."""
    return ImageCase(
        id=case_id,
        patient=row.get("patient") or pair.exam or patient_of(case_id, pattern),
        image=pair.image,
        masks=pair.masks,
        category=pair.category or _named_class(pair.image),
        stage=row.get("stage"),
        location=row.get("location"),
    )


def _all_known(images: Sequence[Found], rows: Rows) -> bool:
    return all(f.exam or rows.get(f.image, {}).get("patient") for f in images)


def _named_class(image: Path) -> str | None:
    match = _NAMED_CLASS.match(image.stem)
    return match.group(1).lower() if match else None
