"""Segmenting new pictures and clips: from files to masks, sizes, a decision and a report."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.prepare import digest
from core.datasets.images import read_images
from core.errors import InputError
from core.io.image.mask import write_mask, write_probability
from core.io.images import ImageSource, find_images, read_frames, source_of
from core.io.paths import Skipped, find_all
from core.postprocess.lesion import measure
from core.preprocess.resize import resize_gray, resize_map
from eusdaf.config import InferConfig
from eusdaf.networks import Ensemble, load_ensemble, open_runs
from eusdaf.report import overlay, segmentation_page


def segment(
    inputs: cli.Paths,
    runs: cli.Runs,
    out: Path,
    *,
    held_out: bool = False,
    probabilities: bool = False,
    allow_unfinished: bool = False,
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig)] = None,
) -> int:
    """Segment new pictures: images, DICOM, videos, or folders of them.

    Args:
      inputs: what to segment.
      runs: trained networks, such as the folds of one recipe; their probabilities are averaged.
      out: gets results.json, report.html and cases/<id>/ with masks at the size of the pictures.
      held_out: of the data sets of the run, take the pictures that it did not train on.
      probabilities: also write probability maps (16-bit PNG); `evaluate` needs them for the ROC.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the first run's, "infer.threshold" → probability.

    Returns:
      0 if every file was segmented, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to segment, or runs that do not go together.
    """
    choices = choices or {}
    opened = open_runs(runs, held_out=held_out, allow_unfinished=allow_unfinished)
    skipped: list[Skipped] = []
    if held_out:
        sources = held_out_of(inputs, opened, _annotated)
    else:
        sources, skipped = find_all(inputs, find_images)
    mesh = sharding.mesh()
    ensemble = load_ensemble(opened, mesh, choices)
    return predict(
        sources,
        partial(_segmented, ensemble, probabilities),
        out,
        Job(
            command="eusdaf segment",
            runs=opened,
            choices=choices,
            options={"probabilities": probabilities},
            facts={"network": ensemble.cfg.model.network, "size": ensemble.cfg.prepare.size},
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=segmentation_page,
        summary=_summary,
    )


def _annotated(data: Path) -> dict[str, ImageSource]:
    """Pictures of a data set by case id."""
    cases = read_images(data).cases
    return {case.id: replace(source_of(case.image), id=case.id) for case in cases}


def _segmented(
    ensemble: Ensemble, probabilities: bool, source: ImageSource, folder: Path
) -> Answer:
    """Segment the frames of a file, a batch in memory at a time; of sizes it has the largest."""
    cfg, side = ensemble.cfg.infer, ensemble.cfg.prepare.size
    rows, digests, largest = [], [], None
    numbered = enumerate(read_frames(source))
    while batch := list(itertools.islice(numbered, cfg.batch)):
        grays = [frame.gray() for _, frame in batch]
        digests += [digest(gray) for gray in grays]
        probs = ensemble.predict(np.stack([resize_gray(gray, (side, side)) for gray in grays]))
        for (number, frame), prob in zip(batch, probs, strict=True):
            name = f"-{number:05d}" if source.is_clip else ""
            mask = resize_map(prob, frame.shape) >= cfg.threshold
            write_mask(folder / f"mask{name}.png", mask)
            if probabilities:
                write_probability(folder / f"probability{name}.png", prob)
            lesion = measure(mask, spacing_mm=frame.spacing_mm)._asdict()
            place = {"frame": number, "time_s": frame.time_s}
            rows.append({**place, "score": float(prob.max()), **lesion})
            if largest is None or lesion["area_px"] > largest[2]["area_px"]:
                largest = frame, mask, lesion
    if largest is None:
        raise InputError("holds no picture", path=source.path)
    atomic.write_bytes(folder / "overlay.png", overlay(*largest[:2]))
    num_with_lesion = sum(row["area_px"] > 0 for row in rows)
    row = {
        "decision": decide(num_with_lesion, len(rows), cfg.clip_fraction),
        "num_frames": len(rows),
        "num_frames_with_lesion": num_with_lesion,
        "score": max(row["score"] for row in rows),
        **largest[2],
    }
    return Answer(row, digests, {"frames": rows})


def decide(num_with_lesion: int, num_frames: int, fraction: float) -> str:
    """Whether enough frames show a lesion: a fraction of them, and one at least."""
    is_enough = num_with_lesion > 0 and num_with_lesion / num_frames >= fraction
    return "lesion" if is_enough else "no lesion"


def _summary(row: Mapping[str, Any]) -> str:
    frames = f"{row['num_frames']} frames  " if row["num_frames"] > 1 else ""
    unit = "px" if row["long_axis_mm"] is None else "mm"
    axes = [row[f"{axis}_axis_{unit}"] for axis in ("long", "short")]
    size = f"  {axes[0]:.1f} × {axes[1]:.1f} {unit}" if row["area_px"] else ""
    return f"{frames}{row['decision']}  score {row['score']:.2f}{size}"
