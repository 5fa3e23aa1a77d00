"""A patient of 308 images in two phases, from DICOM files on disk to a diagnosis, stage by stage.

The networks have the paper's size and random weights: the time of a convolution does not depend on
them. The bias of the first network is set so that it keeps half of the slices, about as many as
show a pancreas. The peer is the same pipeline in pydicom, NumPy and PyTorch with the same weights.
"""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from benchmarks import harness
from core import sharding
from core.io.scans import VolumeCache, read_scan
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.screening.patient import screen
from core.types import ModelState, Params
from core.volume import canonical
from fee import model
from fee.config import Config
from fee.networks import TASKS, Bundle, network
from fee.patient import LoadedSeries, read_ahead
from fee.predict_series import Stopwatch, decide, predict_series
from fee.recipes import RECIPES
from fee.saliency import explainer
from fee.screening import rules
from fee.slices import to_slices

STAGES = ("screen", "read", "locate", "segment", "diagnose")
TOLERANCE = 1e-3
"""Of the patient's score: float32 rounding through 34 layers in two forms."""


class Answer(NamedTuple):
    """What either side finds."""

    num_slices: int
    num_kept: int
    score: float
    seconds: Mapping[str, float]


def measure(title: str, *, repeats: int, num_slices: int, size: int) -> list[harness.Row]:
    """One row, with the seconds of every stage."""
    with TemporaryDirectory() as temporary:
        patient = write_patient(Path(temporary) / "patient", num_slices, size)
        cfgs = {task: _sized(RECIPES[task], size) for task in TASKS}
        weights = {task: _weights(cfg) for task, cfg in cfgs.items()}
        _keep_half(cfgs["locate"], weights["locate"], patient)
        answers: dict[str, list[Answer]] = {"ours": [], "peer": []}
        ours = _recorded(diagnoser(cfgs, weights), patient, answers["ours"])
        module, peer = harness.peer_module("torch_fee_case"), None
        if module:
            twin = module.diagnoser(cfgs, weights)
            peer = _recorded(twin, patient, answers["peer"])
        name = module.NAME if module else ""
        row = harness.compare(title, ours, peer, peer_name=name, equal=_agree, repeats=repeats)
    sides = {side: _stages(found) for side, found in answers.items() if found}
    return [row | {"stages": sides, "num_kept": answers["ours"][-1].num_kept}]


def write_patient(folder: Path, num_slices: int, size: int) -> Path:
    """A synthetic patient with an arterial and a venous series."""
    mm = 360.0 / size
    phantom = make(
        0, shape=(num_slices, size, size), spacing_mm=(1.25, mm, mm), tumor_diameter_mm=30.0
    )
    write_dicom_study(folder, phantom, localizer=True, dose_page=True, report=True)
    return folder


def diagnoser(
    cfgs: Mapping[str, Config], weights: Mapping[str, tuple[Params, ModelState]]
) -> Callable[[Path], Answer]:
    """Our pipeline, without files of results."""
    mesh = sharding.mesh()
    bundle = Bundle(
        cfgs,
        *(network(cfgs[task], *weights[task], mesh) for task in TASKS),
        explain=explainer(cfgs["diagnose"].model, *weights["diagnose"]),
    )

    def diagnose(patient: Path) -> Answer:
        watch = Stopwatch(dict.fromkeys(STAGES, 0.0))
        volumes = VolumeCache()
        with watch.stage("screen"):
            screening = screen(patient, rules(cfgs["locate"].screen), volumes=volumes)
        scans = [one.scan for one in screening.series]
        predicted = [
            predict_series(loaded.image, bundle, watch)
            for loaded in read_ahead(scans, cfgs["locate"].prepare, watch, volumes)
            if isinstance(loaded, LoadedSeries)
        ]
        probs = np.concatenate([series.tumor_prob for series in predicted])
        num_located = sum(len(series.located) for series in predicted)
        score = decide(probs, cfgs["diagnose"].infer, num_located=num_located).score
        num_slices = sum(len(series.pancreas_prob) for series in predicted)
        return Answer(num_slices, len(probs), score, dict(watch))

    return diagnose


def _sized(cfg: Config, size: int) -> Config:
    return replace(
        cfg, screen=replace(cfg.screen, size=size), prepare=replace(cfg.prepare, size=size)
    )


def _weights(cfg: Config) -> tuple[Params, ModelState]:
    """What seed 0 draws."""
    size = cfg.prepare.size
    return harness.drawn(lambda key: model.init(cfg.model, key, (1, size, size, 1)))


def _keep_half(cfg: Config, weights: tuple[Params, ModelState], patient: Path) -> None:
    """Shift the first network's bias by the median of its logit differences."""
    locate = network(cfg, *weights, sharding.mesh())
    scans = [one.scan for one in screen(patient, rules(cfg.screen)).series]
    slices = [to_slices(canonical(read_scan(scan)), cfg.prepare) for scan in scans]
    probs = np.concatenate([locate(image, None) for image in slices]).astype(np.float64)
    bias = weights[0]["fc"]["bias"]
    weights[0]["fc"]["bias"] = bias + np.array([np.median(np.log(probs / (1 - probs))), 0.0])


def _recorded(
    diagnose: Callable[[Path], Answer], patient: Path, answers: list[Answer]
) -> Callable[[], Answer]:
    def run() -> Answer:
        answers.append(diagnose(patient))
        return answers[-1]

    return run


def _stages(answers: list[Answer]) -> dict[str, float]:
    """Median seconds of each stage; the first run compiles and does not count."""
    return {
        name: statistics.median(answer.seconds[name] for answer in answers[1:]) for name in STAGES
    }


def _agree(ours: Answer, peer: Answer) -> bool:
    """Whether both kept as many slices, but for rounding at the threshold, and scored alike."""
    return (
        ours.num_slices == peer.num_slices
        and abs(ours.num_kept - peer.num_kept) <= 1
        and abs(ours.score - peer.score) <= TOLERANCE
    )
