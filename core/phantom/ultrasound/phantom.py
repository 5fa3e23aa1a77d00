"""Endosonography of a patient who does not exist, with the truth about every pixel.

Several frames show one anatomy from neighboring places, so they resemble each other as the frames
of a real examination do: they belong on one side of every split.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from core import check
from core.phantom.ct.patient import stream
from core.phantom.ultrasound.anatomy import LOCATIONS, Anatomy, draw_anatomy
from core.phantom.ultrasound.beam import Fan, loss_db, on_screen, scan_convert, speckled
from core.phantom.ultrasound.tissue import placed, tissue
from core.volume import Frame

# AJCC, 8th edition: largest extent in mm up to which a tumor is of the stage; T4 is by vessels.
STAGES = (("T1", 20.0), ("T2", 40.0), ("T3", np.inf))
COMPENSATED_DB_CM_MHZ = 0.53  # the depth gain makes up for a little less than pancreas takes
NOISE_DB, NOISE_DB_PER_MM = -52.0, 0.42  # of the receiver; the depth gain lifts it
GAIN_DB, NUM_LOOKS = -31.0, 2


@dataclass(frozen=True)
class UltrasoundPhantom:
    """Frames of one patient with their masks and ground truth.

    Args:
      frames: gray (H, W), with spacing.
      masks: the tumor (H, W) in each frame; empty for a healthy pancreas.
      seed: what it was made from.
      tumor_diameter_mm: of the circle of equal area in the first frame; None if healthy.
      stage: "T1" to "T4"; None if healthy.
      location: "head", "neck", "body" or "tail": where the array looks, and the tumor is.
    """

    frames: tuple[Frame, ...]
    masks: tuple[Bool[np.ndarray, "h w"], ...]
    seed: int
    tumor_diameter_mm: float | None
    stage: str | None
    location: str


def make(
    seed: int,
    *,
    tumor_diameter_mm: float | None,
    location: str,
    num_frames: int = 1,
    shape: tuple[int, int] = (256, 256),
    touches_artery: bool = False,
) -> UltrasoundPhantom:
    """Frames of one patient.

    Args:
      seed: decides everything else about the patient.
      tumor_diameter_mm: of the circle with the tumor's area in the first frame; None if healthy.
      location: one of `LOCATIONS`.
      num_frames: the first cuts the tumor in its middle, the others off it.
      shape: pixels (H, W) of a frame.
      touches_artery: whether the tumor has grown to the artery, which makes it T4.

    Returns:
      The frames; equal arguments give equal arrays.
    """
    check.one_of("location", location, LOCATIONS)
    check.positive("num_frames", num_frames)
    if tumor_diameter_mm is not None:
        check.positive("tumor_diameter_mm", tumor_diameter_mm)
    elif touches_artery:
        raise ValueError("touches_artery needs a tumor; got tumor_diameter_mm=None")
    anatomy = draw_anatomy(
        seed,
        tumor_diameter_mm=tumor_diameter_mm,
        location=location,
        touches_artery=touches_artery,
    )
    fan = _draw_fan(anatomy, shape)
    pairs = [_frame(anatomy, fan, number) for number in range(num_frames)]
    return UltrasoundPhantom(
        frames=tuple(frame for frame, _ in pairs),
        masks=tuple(mask for _, mask in pairs),
        seed=seed,
        tumor_diameter_mm=tumor_diameter_mm,
        stage=_stage(tumor_diameter_mm, touches_artery),
        location=location,
    )


def _stage(diameter_mm: float | None, touches_artery: bool) -> str | None:
    if diameter_mm is None:
        return None
    return "T4" if touches_artery else next(s for s, limit in STAGES if diameter_mm <= limit)


def _draw_fan(anatomy: Anatomy, shape: tuple[int, int]) -> Fan:
    """Draw the transducer geometry, with an imaging depth that shows the whole tumor."""
    rng = stream(anatomy.seed, "fan")
    depth, lesion = rng.uniform(46, 58), anatomy.lesion
    if lesion is not None:
        depth = max(depth, lesion.center_mm[1] + 1.3 * lesion.radius_mm + 6)
    return Fan(shape, rng.uniform(9, 13), depth, np.radians(rng.uniform(44, 56)))


def _frame(anatomy: Anatomy, fan: Fan, number: int) -> tuple[Frame, NDArray[np.bool_]]:
    """Image and tumor mask for one position of the array."""
    rng = stream(anatomy.seed, f"frame {number}")
    reach = 5.0 if anatomy.lesion is None else 0.55 * anatomy.lesion.radius_mm
    shift = (float(rng.normal(0, 2.0)), float(rng.normal(0, 0.5)))
    tilt, elevation = float(rng.normal(0, 0.06)), float(rng.uniform(-reach, reach))
    if number == 0:
        shift, tilt, elevation = (0.0, 0.0), 0.0, 0.0
    echo, attenuation = tissue(anatomy, fan, shift_mm=shift, tilt_rad=tilt, elevation_mm=elevation)
    loss = loss_db(attenuation, fan, compensated_db_cm_mhz=COMPENSATED_DB_CM_MHZ)
    noise_db = NOISE_DB + NOISE_DB_PER_MM * fan.lines()[0]
    level_db = 10 * np.log10(10 ** ((echo - loss) / 10) + 10 ** (noise_db / 10))
    gain_db = GAIN_DB + float(rng.normal(0, 1.0))
    # Compounding: the mean of pictures whose speckle differs is smoother than any of them.
    looks = [on_screen(speckled(level_db, fan, rng), gain_db=gain_db) for _ in range(NUM_LOOKS)]
    gray = np.mean(looks, axis=0)
    picture = Frame(scan_convert(gray, fan), (fan.spacing_mm, fan.spacing_mm))
    return picture, _truth(anatomy, fan, shift, tilt, elevation)


def _truth(
    anatomy: Anatomy, fan: Fan, shift: tuple[float, float], tilt: float, elevation: float
) -> NDArray[np.bool_]:
    if anatomy.lesion is None:
        return np.zeros(fan.shape, bool)
    x, z = placed(fan, *fan.pixels(), shift, tilt)
    return (anatomy.lesion.distance_mm(x, z, elevation) <= 0) & fan.inside()
