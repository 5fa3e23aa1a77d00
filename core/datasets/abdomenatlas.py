"""AbdomenAtlas: a folder per case, of which later ones were given out without their images.

    BDMAP_00000001/{ct.nii.gz, combined_labels.nii.gz, segmentations/<organ>.nii.gz}

Source: https://github.com/MrGiovanni/AbdomenAtlas
"""

from pathlib import Path

from core.datasets.case import Dataset
from core.datasets.case_folders import cases_of_folders
from core.datasets.class_masks import ids_of_classes

COMBINED = "combined_labels.nii.gz"
_CASES = "BDMAP_*"
# Of combined_labels.nii.gz: 1 … 9 in version 1.0, all of them in 1.1.
_NAMES = """aorta gall_bladder kidney_left kidney_right liver pancreas postcava spleen stomach
adrenal_gland_left adrenal_gland_right bladder celiac_trunk colon duodenum esophagus femur_left
femur_right hepatic_vessel intestine lung_left lung_right portal_vein_and_splenic_vein prostate
rectum""".split()
IDS = {"background": 0} | {name: id_ for id_, name in enumerate(_NAMES, start=1)}


def is_abdomenatlas(root: Path) -> bool:
    """Whether a folder is laid out like AbdomenAtlas."""
    return next(root.glob(_CASES), None) is not None


def read_abdomenatlas(root: Path) -> Dataset:
    """Cases with an image; of labels, the masks go before the combined map: they bear names.

    Without any masks, the numbers are taken for those of version 1.1.
    """
    places = sorted(place for place in root.glob(_CASES) if place.is_dir())
    cases, skipped = cases_of_folders(((place, place) for place in places), combined=COMBINED)
    names = {name for case in cases for name in case.masks}
    known = {name: id_ for name, id_ in IDS.items() if not names or id_ == 0 or name in names}
    others = ids_of_classes(names - IDS.keys())
    later = {name: id_ + len(_NAMES) for name, id_ in others.items() if id_ > 0}
    return Dataset(
        name="AbdomenAtlas",
        root=root,
        label_ids=known | later,
        channels=("CT",),
        cases=tuple(cases),
        splits=(),
        skipped=tuple(skipped),
        is_public=True,
    )
