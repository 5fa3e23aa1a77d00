"""A patient of 308 images in two phases, from DICOM files on disk to a diagnosis, stage by stage.

The networks have the paper's size and random weights: the time of a convolution does not depend on
them. The bias of the first network is set so that it keeps half of the slices, about as many as
show a pancreas. The peer is the same pipeline in pydicom, NumPy and PyTorch with the same weights.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from benchmarks import harness
from core import compiler, sharding
from core.io.scans import VolumeCache, read_scan
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.screening.patient import screen
from core.types import ModelState, Params
from core.volume import canonical
from fee import model
from fee.config import RECIPES, Config
from fee.networks import TASKS, Bundle, network
from fee.patient import LoadedSeries, read_ahead
from fee.predict_series import Stopwatch, decide, predict_series
from fee.saliency import explainer
from fee.screening import rules
from fee.slices import to_slices

STAGES = ("screen", "read", "locate", "segment", "diagnose")
NUM_SLICES = 154
TOLERANCE = 1e-3
"""Of the patient's score: float32 rounding through 34 layers in two forms."""


class Answer(NamedTuple):
    """What either side finds."""

    num_slices: int
    num_kept: int
    score: float
    seconds: Mapping[str, float]


def add_arguments(parser: argparse.ArgumentParser, data: Path) -> None:
    """What may be measured beside the defaults; `data` has no patient of this size."""
    parser.add_argument("--folder", type=Path, default=Path("out/case-fee"))
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")


def measure(args: argparse.Namespace) -> None:
    """Run both sides in turn; print the stages, and save one row."""
    patient = write_patient(args.folder / f"patient-{args.size}", args.size)
    cfgs = {task: _sized(RECIPES[task], args.size) for task in TASKS}
    weights = {task: _weights(cfg) for task, cfg in cfgs.items()}
    _keep_half(cfgs["locate"], weights["locate"], patient)
    answers: dict[str, list[Answer]] = {"ours": [], "peer": []}
    ours = _recorded(diagnoser(cfgs, weights), patient, answers["ours"])
    peer = None
    if args.peer:
        twin = harness.peer_module("torch_fee_case").diagnoser(cfgs, weights)
        peer = _recorded(twin, patient, answers["peer"])
    row = harness.compare(
        f"fee {2 * NUM_SLICES} slices {args.size}², DICOM to diagnosis",
        ours,
        peer,
        peer_name=harness.peer_module("torch_layout").NAME if args.peer else "",
        equal=(lambda: _agree(answers["ours"][-1], answers["peer"][-1])) if args.peer else None,
        repeats=args.repeats,
    )
    sides = {side: _stages(found) for side, found in answers.items() if found}
    for side, seconds in sides.items():
        print(f"  {side}: " + "  ".join(f"{name} {s:.2f} s" for name, s in seconds.items()))
    papers = harness.reported("FEE-DL")
    for said in papers:
        print(f"  paper: {said['value']} {said['unit']} ({said['hardware']})")
    kept = answers["ours"][-1].num_kept
    harness.save("case-fee", [row | {"stages": sides, "num_kept": kept, "reported": papers}])


def write_patient(folder: Path, size: int) -> Path:
    """A synthetic patient with an arterial and a venous series, written once."""
    if not folder.is_dir():
        mm = 360.0 / size
        phantom = make(
            0, shape=(NUM_SLICES, size, size), spacing_mm=(1.25, mm, mm), tumor_diameter_mm=30.0
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
    init = compiler.jit(lambda key: model.init(cfg.model, key, (1, size, size, 1)), runs_once=True)
    variables = init(jax.random.key(0))
    variables = dict(jax.tree.map(np.asarray, variables))
    return variables.pop("params"), variables


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
) -> Callable[[], None]:
    return lambda: answers.append(diagnose(patient))


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
