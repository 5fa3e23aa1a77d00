"""Tiny data sets laid out as the public ones are, with the headers that these have."""

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

SHAPE = (14, 12, 10)
"""Voxels to the right, the front and the head."""
SPACING_MM = (0.8, 0.9, 2.5)


def image(seed: int) -> np.ndarray:
    """HU of nothing in particular."""
    return np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16)


def box(start: int, stop: int) -> np.ndarray:
    """Mask of a cube."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[start:stop, start:stop, start:stop] = 1
    return mask


def save(path, array, *, axes="RAS", codes=(1, 1), oblique_deg=0.0, dtype=None) -> None:
    """Write an array (right, front, head) as NIfTI, stored along other axes.

    Args:
      path: of the file.
      array: of the voxels.
      axes: that are stored, as nibabel names them.
      codes: of the qform and the sform.
      oblique_deg: by which the patient is turned.
      dtype: of the stored voxels.
    """
    turn = np.deg2rad(oblique_deg)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine = affine @ np.diag([*SPACING_MM, 1.0])
    stored = nib.Nifti1Image(array.astype(dtype or array.dtype), affine)
    wanted = ornt_transform(io_orientation(affine), axcodes2ornt(axes))
    stored = stored.as_reoriented(wanted)
    affine = stored.affine
    stored.set_qform(affine, codes[0])
    stored.set_sform(affine if codes[1] else None, codes[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(stored, path)


def write_masks(folder, masks) -> None:
    """One binary file per class."""
    for name, mask in masks.items():
        save(folder / "segmentations" / f"{name}.nii.gz", mask)


def write_pants(root, case, *, part="Tr", seed=0, without=()) -> None:
    """A case of PanTS: lesion in duct in pancreas, and what lies beside it."""
    masks = {
        "pancreas": box(2, 9),
        "pancreas_head": box(2, 5),
        "pancreatic_duct": box(4, 8),
        "pancreatic_lesion": box(6, 9),
        "liver": box(0, 3),
        "common_bile_duct": box(3, 5),
    }
    save(root / f"Image{part}" / case / "ct.nii.gz", image(seed))
    kept = {name: mask for name, mask in masks.items() if name not in without}
    write_masks(root / f"Label{part}" / case, kept)


def panorama_ids() -> np.ndarray:
    """A label with all ids of PANORAMA."""
    label = box(0, 9) * 4
    for id_, (start, stop) in {2: (0, 2), 3: (2, 3), 6: (3, 4), 5: (4, 6), 1: (6, 8)}.items():
        label[box(start, stop) > 0] = id_
    return label


def write_panorama(root, case, folder="batch_1", kind="automatic_labels", seed=0, **header) -> None:
    """A case of PANORAMA, as the batches and the checkout have it."""
    save(root / folder / f"{case}_0000.nii.gz", image(seed), **header)
    path = root / "panorama_labels" / kind / f"{case}.nii.gz"
    save(path, panorama_ids(), **{"dtype": np.float64, **header})


def write_table(root, *rows: tuple[str, str, str]) -> None:
    """The clinical table of PANORAMA: case, diagnosis and level of each row."""
    lines = ["PANORAMA_patient_id,PANORAMA_study_id,patient_age,label,level"]
    for case, label, level in rows:
        patient, study = case.split("_")
        lines.append(f"{patient},{study},042Y,{label},{level}")
    (root / "panorama_labels").mkdir(parents=True, exist_ok=True)
    (root / "panorama_labels" / "clinical_information.csv").write_text("\n".join(lines))
