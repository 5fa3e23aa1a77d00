"""Segmenting new pictures and clips: from files to masks, sizes and a report."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core import atomic, json_io, sharding
from core.config import fingerprint
from core.datasets.images import read_images
from core.errors import InputError
from core.io.image.mask import write_mask, write_probability
from core.io.images import ImageSource, find_images, read_frames, source_of
from core.io.paths import Skipped, find_all
from core.preprocess.resize import resize_gray, resize_map
from core.report import results
from core.report.manifest import manifest
from core.train import run_folder
from core.volume import Frame
from eusdaf.lesion import measure
from eusdaf.networks import Ensemble, load_ensemble
from eusdaf.report import overlay, segmentation_page

logger = logging.getLogger(__name__)


class Found(NamedTuple):
    """What is to be segmented."""

    sources: Sequence[ImageSource]
    skipped: Sequence[Skipped]
    fold: int | None
    """Whose held-out pictures these are."""


class Segmented(NamedTuple):
    """One picture with the answer about it, at its own size."""

    frame: Frame
    mask: Bool[np.ndarray, "h w"]
    row: Mapping[str, Any]


def segment(
    inputs: Sequence[Path],
    runs: Sequence[Path],
    out: Path,
    *,
    probabilities: bool = False,
    held_out: bool = False,
) -> int:
    """Segment every picture found in `inputs`; write masks, overlays, sizes and a report.

    Args:
      inputs: pictures, DICOM files, videos, or folders of any of them.
      runs: run folders; the probabilities of several are averaged.
      out: gets results.json, report.html and cases/<id>/.
      probabilities: also write probability maps, as 16-bit PNG.
      held_out: of one data set, take the pictures that the one run did not train on.

    Returns:
      0 if every file was segmented, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to segment, or runs that do not go together.
    """
    found = _held_out(inputs, runs) if held_out else Found(*find_all(inputs, find_images), None)
    mesh = sharding.mesh()
    ensemble = load_ensemble(runs, mesh)
    cases = results.broken(found.skipped)
    for number, source in enumerate(found.sources, start=1):
        folder = out / "cases" / source.id
        work = partial(_segmented, source, ensemble, folder, probabilities=probabilities)
        case = results.attempt(source.id, source.path, work)
        logger.info("%d/%d  %s  %s", number, len(found.sources), source.id, _summary(case))
        cases.append(case)
    written = results.write(
        out,
        cases,
        skipped=found.skipped,
        provenance=manifest(
            fingerprint=fingerprint(ensemble.cfg), devices=[str(d) for d in mesh.devices.flat]
        ),
        network=ensemble.cfg.model.network,
        size=ensemble.cfg.prepare.size,
        runs=[str(run) for run in runs],
        fold=found.fold,
    )
    atomic.write_text(out / "report.html", segmentation_page(written, out))
    return int(results.any_failed(cases))


def _held_out(inputs: Sequence[Path], runs: Sequence[Path]) -> Found:
    """Pictures of a data set that a run of a cross-validation did not train on."""
    if len(inputs) != 1 or len(runs) != 1:
        raise InputError(
            f"--held-out needs one data set and one run; got {len(inputs)} and {len(runs)}"
        )
    fold, ids = run_folder.held_out(runs[0])
    images = {case.id: case.image for case in read_images(inputs[0]).cases}
    if absent := [id_ for id_ in ids if id_ not in images]:
        raise InputError(
            f"holds {len(ids) - len(absent)} of the {len(ids)} pictures that {runs[0]} held out; "
            f"{absent[0]} is not there",
            path=inputs[0],
            hint="give the data set that it was trained on",
        )
    sources = [replace(source_of(images[id_]), id=id_) for id_ in ids]
    return Found(sources, [], fold)


def _segmented(
    source: ImageSource, ensemble: Ensemble, folder: Path, *, probabilities: bool
) -> dict[str, Any]:
    """Segment all pictures of a file, a batch in memory at a time; what to tell about it."""
    frames, largest = [], None
    size = (ensemble.cfg.prepare.size, ensemble.cfg.prepare.size)
    pictures = enumerate(read_frames(source))
    while some := list(itertools.islice(pictures, ensemble.cfg.infer.batch)):
        probs = ensemble.predict(np.stack([resize_gray(f.gray(), size) for _, f in some]))
        for (number, frame), prob in zip(some, probs, strict=True):
            name = f"-{number:05d}" if source.is_clip else ""
            if probabilities:
                write_probability(folder / f"probability{name}.png", prob)
            seen = _answer(frame, prob, ensemble.cfg.infer.threshold)
            write_mask(folder / f"mask{name}.png", seen.mask)
            frames.append({"frame": number, "time_s": frame.time_s, **seen.row})
            if largest is None or seen.row["area_px"] > largest.row["area_px"]:
                largest = seen
    if largest is None:
        raise InputError("holds no picture", path=source.path)
    atomic.write_bytes(folder / "overlay.png", overlay(largest.frame, largest.mask))
    with_lesion = sum(row["area_px"] > 0 for row in frames)
    row = {
        "decision": "lesion" if with_lesion else "no lesion",
        "num_frames": len(frames),
        "num_frames_with_lesion": with_lesion,
        **largest.row,
        "score": max(row["score"] for row in frames),
    }
    json_io.write_json(folder / "prediction.json", {**row, "frames": frames})
    return row


def _answer(frame: Frame, prob: Float[np.ndarray, "s s"], threshold: float) -> Segmented:
    """Mask of a picture at its own size, and the size of the lesion in it."""
    mask = resize_map(prob, frame.shape) >= threshold
    size = measure(mask, spacing_mm=frame.spacing_mm)
    return Segmented(frame, mask, {"score": float(prob.max()), **size._asdict()})


def _summary(case: Mapping[str, Any]) -> str:
    if case["status"] == "failed":
        return "failed"
    frames = f"{case['num_frames']} frames  " if case["num_frames"] > 1 else ""
    axes = [case[f"{axis}_axis_mm"] for axis in ("long", "short")]
    unit = "mm"
    if np.isnan(axes[0]):
        axes, unit = [case[f"{axis}_axis_px"] for axis in ("long", "short")], "px"
    size = "" if np.isnan(axes[0]) else f"  {axes[0]:.1f} × {axes[1]:.1f} {unit}"
    return f"{frames}{case['decision']}  score {case['score']:.2f}{size}"
