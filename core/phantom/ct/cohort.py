"""A cohort of phantoms as an nnU-Net raw data set, with the truth about each case beside it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import check
from core.atomic import aside, new_folder
from core.csv_io import write_csv
from core.io.nifti import write
from core.phantom.ct.patient import stream
from core.phantom.ct.phantom import LABELS, Phantom, make
from core.phantom.ct.tissue import PHASES
from core.phantom.deformation import deformed
from core.processes import in_processes
from core.volume import Volume

# A structure that a data set does not name belongs to the one that contains it.
PARENTS = {
    "dilated_duct": "duct",
    "duct": "pancreas",
    "metastatic_lymph_node": "lymph_node",
}

STATUS_TABLE = "status.csv"
CT_SENSITIVITY, CT_SPECIFICITY = 0.588, 0.609
"""Of radiologists who read lymph-node metastasis from CT (Ref: Zheng et al., Table VI)."""
UPPER_ABDOMEN_MM = (144.0, 208.0, 256.0)
"""Field of view around the pancreas, (D, H, W)."""


def upper_abdomen(spacing_mm: float) -> tuple[int, int, int]:
    """Voxels (D, H, W) that cover `UPPER_ABDOMEN_MM` by cubes."""
    depth, height, width = (round(mm / spacing_mm) for mm in UPPER_ABDOMEN_MM)
    return depth, height, width


def write_cohort(
    out: str | Path,
    *,
    num_cases: int,
    seed: int,
    labels: Mapping[str, int],
    shape: tuple[int, int, int] = (64, 96, 112),
    spacing_mm: tuple[float, float, float] = (3.0, 3.0, 3.0),
    phases: Sequence[str] = ("venous",),
    tumor_fraction: float = 0.5,
    diameters_mm: tuple[float, float] = (8.0, 40.0),
    breath_mm: float = 0.0,
    metastatic_texture: bool = False,
    status_table: bool = False,
    num_processes: int = 1,
) -> Path:
    """Write imagesTr, labelsTr, dataset.json and cases.json; all of it or nothing.

    Args:
      out: folder to make; equal arguments write equal bytes.
      num_cases: patients, each healthy or with one tumor.
      seed: of the cohort.
      labels: id of each structure to write, by its name in `ct.LABELS`, and "background": 0.
      shape: voxels (D, H, W).
      spacing_mm: voxel size (D, H, W).
      phases: one image channel each.
      tumor_fraction: share of the patients with a tumor, exactly up to rounding.
      diameters_mm: smallest and largest tumor, drawn uniformly.
      breath_mm: largest displacement of the arterial phase against the venous one; 0 leaves both
        where they are.
      metastatic_texture: of tumors, as in `phantom.make`.
      status_table: also write status.csv: patient,status,ct_reported, where 1 is metastasis of a
        lymph node, known and as a radiologist read it, who errs as often as in practice.
      num_processes: patients made at a time; changes no byte.

    Returns:
      The folder.

    Raises:
      InputError: the folder exists and holds something.
    """
    for phase in phases:
        check.one_of("phase", phase, PHASES)
    diameters = draw_diameters(num_cases, seed, tumor_fraction, diameters_mm)
    table, out = label_table(labels), new_folder(out)
    with aside(out) as folder:
        work = partial(
            _make_case,
            folder=folder,
            seed=seed,
            shape=shape,
            spacing_mm=spacing_mm,
            phases=tuple(phases),
            table=table,
            breath_mm=breath_mm,
            metastatic_texture=metastatic_texture,
        )
        cases = list(in_processes(work, list(enumerate(diameters)), num_processes))
        _write_json(folder / "dataset.json", _description(labels, phases, num_cases))
        _write_json(folder / "cases.json", {"seed": seed, "phases": list(phases), "cases": cases})
        if status_table:
            write_csv(folder / STATUS_TABLE, [status_row(case) for case in cases])
    return out


def status_row(case: Mapping[str, Any]) -> dict[str, Any]:
    """Row of the status table, from a patient's entry in cases.json."""
    is_metastatic = case["num_metastatic_nodes"] > 0
    errs = stream(case["seed"], "radiologist").random() >= (
        CT_SENSITIVITY if is_metastatic else CT_SPECIFICITY
    )
    reported = is_metastatic is not bool(errs)
    return {"patient": case["id"], "status": int(is_metastatic), "ct_reported": int(reported)}


def _make_case(
    item: tuple[int, float | None],
    *,
    folder: Path,
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    phases: Sequence[str],
    table: NDArray[np.uint8],
    breath_mm: float,
    metastatic_texture: bool,
) -> dict:
    """Make and write one case, given as (number, tumor diameter in mm or None)."""
    number, diameter = item
    patient_seed = int(stream(seed, f"case {number}").integers(2**31))
    phantom = make(
        patient_seed,
        shape=shape,
        spacing_mm=spacing_mm,
        tumor_diameter_mm=diameter,
        metastatic_texture=metastatic_texture,
    )
    if breath_mm > 0:
        moved = deformed(phantom, patient_seed, amplitude_mm=breath_mm).arterial
        phantom = replace(phantom, images={**phantom.images, "arterial": moved})
    return _write_case(folder, f"phantom_{number:03d}", phantom, phases, table)


def _write_case(
    folder: Path, case_id: str, phantom: Phantom, phases: Sequence[str], table: NDArray[np.uint8]
) -> dict:
    """Write one case; return its entry in cases.json."""
    for channel, phase in enumerate(phases):
        write(folder / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz", phantom.images[phase])
    label: Volume = phantom.label.with_array(table[phantom.label.array])
    write(folder / "labelsTr" / f"{case_id}.nii.gz", label)
    return {
        "id": case_id,
        "seed": phantom.seed,
        "tumor_diameter_mm": phantom.tumor_diameter_mm,
        "tumor_location": phantom.tumor_location,
        "num_nodes": len(phantom.nodes),
        "num_metastatic_nodes": sum(node.metastatic for node in phantom.nodes),
    }


def label_table(labels: Mapping[str, int]) -> NDArray[np.uint8]:
    """Lookup table (number of structures,) from the ids of `ct.LABELS` to those written; else 0."""
    for name in labels:
        check.one_of("label name", name, list(LABELS))
    table = np.zeros(len(LABELS), np.uint8)
    for name, value in LABELS.items():
        while name not in labels and name in PARENTS:
            name = PARENTS[name]
        table[value] = labels.get(name, 0)
    return table


def draw_diameters(
    num_cases: int, seed: int, tumor_fraction: float, diameters_mm: tuple[float, float]
) -> list[float | None]:
    """Tumor diameter per case, None for the healthy ones."""
    check.positive("num_cases", num_cases)
    check.fraction("tumor_fraction", tumor_fraction)
    rng = stream(seed, "cohort")
    num_tumors = round(num_cases * tumor_fraction)
    chosen = set(rng.permutation(num_cases)[:num_tumors].tolist())
    drawn = np.round(rng.uniform(*diameters_mm, num_cases), 1).tolist()
    return [d if i in chosen else None for i, d in enumerate(drawn)]


def _description(labels: Mapping[str, int], phases: Sequence[str], num_cases: int) -> dict:
    return {
        "name": "phantom",
        "description": f"synthetic abdominal CT, phases: {', '.join(phases)}",
        "channel_names": {str(channel): "CT" for channel in range(len(phases))},
        "labels": dict(labels),
        "numTraining": num_cases,
        "file_ending": ".nii.gz",
    }


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
