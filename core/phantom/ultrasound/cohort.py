"""A cohort of ultrasound phantoms as a folder of images and masks, with a table about them."""

import csv
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from core import check
from core.atomic import aside, new_folder
from core.io.image.mask import write_mask
from core.phantom.ct.patient import stream
from core.phantom.ultrasound.anatomy import LOCATIONS
from core.phantom.ultrasound.dicom import write_dicom_picture
from core.phantom.ultrasound.phantom import UltrasoundPhantom, make

COLUMNS = ("image", "patient", "stage", "location")
ARTERY_SHARE = 0.3  # of the tumors above 20 mm; a smaller one seldom reaches the vessels


class Drawn(NamedTuple):
    """Parameters of a patient that are drawn for the whole cohort."""

    seed: int
    tumor_diameter_mm: float | None
    location: str
    touches_artery: bool


def write_image_cohort(
    out: str | Path,
    *,
    num_patients: int,
    seed: int,
    num_frames: int = 2,
    shape: tuple[int, int] = (256, 256),
    tumor_fraction: float = 0.85,
    diameters_mm: tuple[float, float] = (12.0, 46.0),
    kind: Literal["png", "dicom"] = "png",
) -> Path:
    """Write images/, masks/ and images.csv (`image,patient,stage,location`); all of it or nothing.

    Args:
      out: folder to make; equal arguments write equal bytes.
      num_patients: each healthy or with one tumor.
      seed: of the cohort.
      num_frames: per patient.
      shape: pixels (H, W) of a frame.
      tumor_fraction: share of the patients with a tumor, exactly up to rounding.
      diameters_mm: smallest and largest tumor, drawn uniformly.
      kind: of the images: "png", or "dicom" with the pixel spacing in ultrasound regions.

    Returns:
      The folder.

    Raises:
      InputError: the folder exists and holds something.
    """
    check.positive("num_patients", num_patients)
    check.positive("num_frames", num_frames)
    check.fraction("tumor_fraction", tumor_fraction)
    check.one_of("kind", kind, ("png", "dicom"))
    out = new_folder(out)
    rows = []
    with aside(out) as folder:
        for number, drawn in enumerate(_draw(num_patients, seed, tumor_fraction, diameters_mm)):
            phantom = make(
                drawn.seed,
                tumor_diameter_mm=drawn.tumor_diameter_mm,
                location=drawn.location,
                touches_artery=drawn.touches_artery,
                num_frames=num_frames,
                shape=shape,
            )
            rows += _write_patient(folder, f"phantom_{number:03d}", phantom, kind)
        with (folder / "images.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    return out


def _write_patient(
    folder: Path, patient: str, phantom: UltrasoundPhantom, kind: str
) -> list[tuple[str, str, str, str]]:
    """Write the frames of a patient; return their rows of the table."""
    rows = []
    location = phantom.location if phantom.stage else ""  # of the tumor, so of none
    for number, (frame, mask) in enumerate(zip(phantom.frames, phantom.masks, strict=True)):
        name = f"{patient}_{number}"
        image = folder / "images" / f"{name}.{'png' if kind == 'png' else 'dcm'}"
        image.parent.mkdir(parents=True, exist_ok=True)
        if kind == "png":
            Image.fromarray(frame.array).save(image)
        else:
            write_dicom_picture(image, [frame], seed=phantom.seed, instance=number)
        write_mask(folder / "masks" / f"{name}.png", mask)
        rows.append((image.name, patient, phantom.stage or "", location))
    return rows


def _draw(
    num_patients: int, seed: int, tumor_fraction: float, diameters_mm: tuple[float, float]
) -> list[Drawn]:
    """Draw patients; a longer cohort begins with those of a shorter one, but for who is healthy."""
    order = stream(seed, "healthy").permutation(num_patients)
    healthy = set(order[round(num_patients * tumor_fraction) :].tolist())
    drawn = []
    for number in range(num_patients):
        rng = stream(seed, f"patient {number}")
        diameter = round(float(rng.uniform(*diameters_mm)), 1)
        # In turn, so that the smallest cohort has every place to compare.
        location = LOCATIONS[(number + seed) % len(LOCATIONS)]
        near_artery = bool(rng.random() < ARTERY_SHARE and diameter > 20)
        sick = number not in healthy
        drawn.append(
            Drawn(
                int(rng.integers(2**31)),
                diameter if sick else None,
                location,
                near_artery and sick,
            )
        )
    return drawn
