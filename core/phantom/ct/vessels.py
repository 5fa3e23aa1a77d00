"""Arteries and veins of the upper abdomen as tubes along curves in the standard frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.curves import curve
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import Solid, tube, union


@dataclass(frozen=True)
class Vessels:
    """The named vessels of one patient; each a solid."""

    aorta: Solid
    vena_cava: Solid
    portal_splenic_vein: Solid
    superior_mesenteric_artery: Solid
    celiac_trunk_splenic_artery: Solid
    common_hepatic_proper_hepatic_artery: Solid
    left_gastric_artery: Solid
    renal_arteries: Solid
    renal_veins: Solid
    mesenteric: tuple[tuple[Solid, float], ...]
    confluence: NDArray[np.float64]


def draw_vessels(patient: Patient, body: NDArray, hilum: NDArray) -> Vessels:
    """Draw the named vessels along the course of the pancreas.

    Args:
      patient: whose vessels.
      body: centre line (n, 3) of the pancreas from the neck to the tail, mm.
      hilum: of the spleen (3,), mm.
    """
    rng = patient.stream("vessels")
    jitter = lambda scale: rng.normal(0, scale, 3)  # noqa: E731
    width = rng.normal(1, 0.08)
    aorta = curve(
        [(4, -27, 190), (6, -30, 60), (8, -33, 10), (6, -34, -60), (3, -34, -150), (0, -32, -220)]
    )
    cava = curve(
        [(-22, -38, 150), (-24, -32, 60), (-23, -27, 10), (-22, -27, -80), (-20, -25, -220)]
    )
    celiac = np.array([7.5, -42, 21]) + jitter(1.2)
    trunk_end = celiac + np.add(jitter(1.5), (0, -15, 4))
    sma_top = np.array([7.5, -43, 6]) + jitter(1.2)
    sma = curve(
        [sma_top, np.add(sma_top, (0, -9, -4)), (5, -60, -22), (4, -64, -60), (6, -68, -140)]
    )
    confluence = np.array([-10, -55, 0]) + jitter(1.0)
    smv = curve([(-6, -70, -140), (-9, -66, -60), (-10, -61, -22), confluence])
    portal = curve([confluence, (-24, -51, 20), (-40, -50, 42), (-52, -50, 50)])
    # The splenic vein runs along the back of the pancreas, the artery along its upper border.
    back, upper = np.array([0, 12.0, 1]), np.array([0, 6.0, 14])
    vein = curve([confluence, *(body[3:-2:4] + back), np.add(hilum, (-6, 2, -6))])
    wave = np.sin(np.linspace(0, rng.uniform(2, 5) * np.pi, len(body[2::3])))
    artery = curve(
        [
            celiac,
            trunk_end,
            *(body[2::3] + upper + wave[:, None] * (0, 1.5, 4.5))[1:],
            np.add(hilum, (-5, -3, 6)),
        ]
    )
    hepatic = curve(
        [
            trunk_end,
            np.add(trunk_end, (-12, -4, -4)),
            (-22, -61, 15),
            (-30, -59, 26),
            (-40, -56, 39),
            (-51, -55, 49),
        ]
    )
    gastric = curve(
        [
            trunk_end,
            np.add(trunk_end, (4, -2, 14)),
            (16, -56, 62),
            (30, -66, 58),
            (36, -80, 40),
            (30, -88, 22),
        ]
    )
    return Vessels(
        aorta=tube(aorta, 9.8 * width),
        vena_cava=tube(cava, 10.5 * width, squash=(1.2, rng.uniform(0.7, 1.0), 1)),
        portal_splenic_vein=union(
            tube(smv, 5.2), tube(portal, 6.5 * width), tube(vein, 3.6 * width), blend_mm=3.0
        ),
        superior_mesenteric_artery=tube(sma, np.linspace(4.0, 3.0, len(sma))),
        celiac_trunk_splenic_artery=tube(artery, np.linspace(3.7, 2.4, len(artery))),
        common_hepatic_proper_hepatic_artery=tube(hepatic, np.linspace(2.9, 2.0, len(hepatic))),
        left_gastric_artery=tube(gastric, np.linspace(2.0, 1.3, len(gastric))),
        renal_arteries=union(
            tube(curve([(12, -32, -2), (32, -14, -8), (50, 12, -8)]), 2.7),
            tube(curve([(2, -30, -4), (-20, -8, -14), (-50, 12, -22)]), 2.7),
        ),
        renal_veins=union(
            tube(
                curve([(-18, -30, -4), (8, -46, -6), (28, -30, -8), (50, 8, -8)]),
                4.2,
                squash=(1, 0.7, 1),
            ),
            tube(curve([(-24, -25, -18), (-36, -10, -20), (-50, 8, -22)]), 4.4),
        ),
        mesenteric=_mesenteric(rng, sma),
        confluence=confluence,
    )


def _mesenteric(rng: np.random.Generator, sma: NDArray) -> tuple[tuple[Solid, float], ...]:
    """Fan of jejunal and colic branches (solid, radius) within the mesenteric fat."""
    out = []
    for _ in range(22):
        start = sma[rng.integers(len(sma) // 4, len(sma))] + rng.normal(0, 4, 3)
        angle, radius = rng.uniform(-0.1, 1.1) * np.pi, rng.uniform(0.9, 1.9)
        length = rng.uniform(35, 75)
        end = start + length * np.array([np.cos(angle), -0.25, -0.8 * np.sin(angle)])
        middle = (start + end) / 2 + rng.normal(0, 7, 3)
        out.append((tube(curve([start, middle, end], step_mm=8), radius), radius))
    return tuple(out)


def mesentery(patient: Patient, vessels: Vessels) -> list[Stroke]:
    """Strokes of the small mesenteric branches, painted before all organs."""
    return [
        stroke(patient, solid, "mesenteric vessel", thin_mm=radius)
        for solid, radius in vessels.mesenteric
    ]


def great_vessels(patient: Patient, vessels: Vessels) -> list[Stroke]:
    """Strokes of the named vessels, in painting order."""
    arterial = [
        ("left_gastric_artery", 1.6),
        ("celiac_trunk_splenic_artery", 2.8),
        ("common_hepatic_proper_hepatic_artery", 2.4),
        ("superior_mesenteric_artery", 3.4),
    ]
    named = [
        stroke(
            patient,
            getattr(vessels, name),
            "blood arterial",
            name,
            thin_mm=radius,
        )
        for name, radius in arterial
    ]
    return [
        stroke(patient, vessels.renal_arteries, "blood arterial", thin_mm=2.7),
        stroke(patient, vessels.renal_veins, "blood renal"),
        stroke(patient, vessels.vena_cava, "blood caval", "inferior_vena_cava"),
        stroke(patient, vessels.portal_splenic_vein, "blood portal", "portal_splenic_vein"),
        *named,
        stroke(patient, vessels.aorta, "blood arterial", "aorta", clearance_mm=1.0),
    ]
