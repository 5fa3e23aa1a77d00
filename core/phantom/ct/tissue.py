"""What tissues look like: attenuation in both contrast phases, and their mottle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.phantom.ct.patient import stream

PHASES = ("arterial", "venous")


@dataclass(frozen=True)
class Tissue:
    """Attenuation of a tissue.

    Args:
      hu: mean in the (late arterial, portal venous) phase.
      spread_hu: standard deviation between patients.
      mottle_hu: standard deviation within the organ.
      mottle_mm: size of the grains within the organ.
    """

    hu: tuple[float, float]
    spread_hu: float = 0.0
    mottle_hu: float = 0.0
    mottle_mm: float = 6.0


TISSUES: Mapping[str, Tissue] = {
    "air": Tissue((-1000, -1000)),
    "gas": Tissue((-960, -960), 10),
    "lung": Tissue((-850, -845), 20, 30, 12),
    "skin": Tissue((20, 30), 5),
    "fat": Tissue((-104, -102), 4, 4, 9),
    "visceral fat": Tissue((-98, -96), 5, 7, 7),
    "muscle": Tissue((58, 64), 5, 7, 7),
    "cortical bone": Tissue((440, 440), 50, 40, 8),
    "marrow": Tissue((150, 155), 30, 30, 6),
    "disc": Tissue((85, 88), 8, 6, 8),
    "canal": Tissue((28, 30), 4),
    "blood arterial": Tissue((310, 150), 25, 4, 8),
    "blood portal": Tissue((130, 172), 14, 4, 8),
    "blood caval": Tissue((95, 125), 14, 12, 12),
    "blood renal": Tissue((175, 165), 14, 4, 8),
    "liver": Tissue((66, 110), 8, 5, 9),
    "hepatic veins": Tissue((70, 152), 10),
    "portal branches": Tissue((118, 160), 10),
    "bile": Tissue((8, 9), 4),
    "gallbladder wall": Tissue((50, 75), 6),
    "spleen": Tissue((125, 120), 10, 5, 9),
    "renal cortex": Tissue((190, 190), 14, 6, 7),
    "renal medulla": Tissue((90, 170), 12, 10, 8),
    "adrenal": Tissue((70, 75), 8),
    "pancreas": Tissue((116, 102), 6, 11, 4),
    "fatty pancreas": Tissue((35, 28), 15, 12, 5),
    "tumor": Tissue((55, 70), 5, 7, 6),
    "duct": Tissue((12, 12), 2),
    "gut wall": Tissue((85, 92), 8, 8, 6),
    "jejunal wall": Tissue((112, 105), 8, 22, 6),
    "gut fluid": Tissue((16, 17), 8, 6, 8),
    "chyme": Tissue((38, 38), 10, 14, 7),
    "stool": Tissue((5, 6), 15, 90, 4),
    "node": Tissue((80, 92), 7, 5, 5),
    "metastatic node": Tissue((62, 74), 7, 12, 4),
    "cyst": Tissue((6, 6), 3),
    "heart": Tissue((190, 145), 20, 20, 20),
    "mesenteric vessel": Tissue((160, 150), 20),
    "couch": Tissue((-20, -20)),
}


def attenuation(seed: int) -> dict[str, tuple[float, float]]:
    """HU of every tissue of one patient in both phases; phases share most of the variation."""
    out = {}
    for name, tissue in TISSUES.items():
        rng = stream(seed, f"tissue {name}")
        shared, own = rng.normal(0, tissue.spread_hu), rng.normal(0, tissue.spread_hu / 3, 2)
        arterial, venous = np.asarray(tissue.hu) + np.clip(
            shared + own, -2 * tissue.spread_hu, 2 * tissue.spread_hu
        )
        out[name] = (float(arterial), float(venous))
    return out
