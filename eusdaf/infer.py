"""Segmenting new pictures and clips: from files to masks, sizes, a decision and a report."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import Bool

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.shards import shard_of
from core.commands.sources import digest
from core.datasets.images import read_images
from core.errors import InputError
from core.io.image.contrast import MIN_LEVELS, num_levels, require_contrast
from core.io.image.mask import write_mask, write_probability
from core.io.images import ImageSource, find_images, read_frames, source_of
from core.io.paths import Skipped, find_all
from core.io.remarks import remark
from core.postprocess.lesion import largest_piece, measure
from core.preprocess.resize import resize_gray, resize_map
from core.volume import Frame
from eusdaf.config import InferConfig
from eusdaf.networks import Ensemble, load_ensemble, open_runs
from eusdaf.report import overlay, segmentation_page
from eusdaf.scale import Scale, scale_under

MAX_LISTED = 5
"""Frames that a remark names."""


def segment(
    inputs: cli.Paths,
    runs: cli.Runs,
    out: Path,
    *,
    held_out: bool = False,
    probabilities: bool = False,
    allow_unfinished: bool = False,
    shard: str | None = None,
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
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the first run's, "infer.threshold" → probability.

    Returns:
      0 if every file was segmented, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to segment, or runs that do not go together.
    """
    choices, taken = choices or {}, shard_of(shard)
    opened = open_runs(runs, held_out=held_out, allow_unfinished=allow_unfinished)
    skipped: list[Skipped] = []
    if held_out:
        sources = held_out_of(inputs, opened, _annotated)
    else:
        sources, skipped = find_all(inputs, find_images)
    mesh = sharding.mesh()
    ensemble = load_ensemble(opened, mesh, choices)
    return predict(
        taken.of(sources),
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
        shard=taken,
    )


def _annotated(data: Path) -> dict[str, ImageSource]:
    """Pictures of a data set by case id."""
    cases = read_images(data).cases
    return {case.id: replace(source_of(case.image), id=case.id) for case in cases}


def _segmented(
    ensemble: Ensemble, probabilities: bool, source: ImageSource, folder: Path
) -> Answer:
    """Segment a file; what an earlier call, or one that fails, wrote of it is removed."""
    _remove(folder)
    try:
        return _answer(ensemble, probabilities, source, folder)
    except InputError as error:
        if num := _remove(folder):
            hint = f"{error.hint}; " if error.hint else ""
            hint += f"the masks of its first {num} frames are removed"
            raise InputError(error.message, path=error.path, hint=hint) from error
        raise
    except BaseException:
        _remove(folder)
        raise


def _remove(folder: Path) -> int:
    """Remove what `_answer` writes, and tell how many masks that were."""
    masks = [path for name in ("mask.png", "mask-*.png") for path in folder.glob(name)]
    for path in (*masks, *folder.glob("probability*.png"), *folder.glob("overlay.png")):
        path.unlink()
    (folder / "prediction.json").unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    return len(masks)


def _answer(ensemble: Ensemble, probabilities: bool, source: ImageSource, folder: Path) -> Answer:
    """Segment the frames of a file, a batch in memory at a time; of sizes it has the largest."""
    cfg, side = ensemble.cfg.infer, ensemble.cfg.prepare.size
    rows, digests, largest = [], [], None
    numbered = enumerate(read_frames(source))
    while batch := list(itertools.islice(numbered, cfg.batch)):
        grays = [frame.gray() for _, frame in batch]
        if not source.is_clip:
            require_contrast(grays[0], source.path)
        digests += [digest(gray) for gray in grays]
        probs = ensemble.predict(np.stack([resize_gray(gray, (side, side)) for gray in grays]))
        for (number, frame), gray, prob in zip(batch, grays, probs, strict=True):
            place = {"frame": number, "time_s": frame.time_s}
            if source.is_clip and num_levels(gray) < MIN_LEVELS:
                rows.append({**place, "score": None})
                continue
            name = f"-{number:05d}" if source.is_clip else ""
            mask = resize_map(prob, frame.shape) >= cfg.threshold
            write_mask(folder / f"mask{name}.png", mask)
            if probabilities:
                write_probability(folder / f"probability{name}.png", prob)
            scale = _scale(frame, mask, source.path)
            lesion = measure(mask, spacing_mm=scale.spacing_mm)._asdict()
            rows.append({**place, "score": float(prob.max()), **lesion, "scale": scale.origin})
            if largest is None or lesion["area_px"] > largest[2]["area_px"]:
                pictured = replace(frame, spacing_mm=scale.spacing_mm)
                largest = pictured, mask, {**lesion, "scale": scale.origin}
    scored = [row for row in rows if row["score"] is not None]
    _tell_empty(rows, source.path)
    if largest is None:
        what = f"shows nothing in any of its {len(rows)} frames" if rows else "holds no picture"
        raise InputError(what, path=source.path)
    atomic.write_bytes(folder / "overlay.png", overlay(*largest[:2]))
    num_with_lesion = sum(row["area_px"] > 0 for row in scored)
    row = {
        "decision": decide(num_with_lesion, len(scored), cfg.clip_fraction),
        "num_frames": len(rows),
        "num_frames_without_picture": len(rows) - len(scored),
        "num_frames_with_lesion": num_with_lesion,
        "score": max(row["score"] for row in scored),
        **largest[2],
    }
    return Answer(row, digests, {"frames": rows})


def _scale(frame: Frame, mask: Bool[np.ndarray, "h w"], path: Path) -> Scale:
    """Scale under the largest piece of a mask; remarked where the file has one, and it has not."""
    if not mask.any():
        return Scale(frame.spacing_mm, None)
    scale = scale_under(frame, largest_piece(mask))
    if frame.regions and scale.spacing_mm is None:
        remark(path, f"its lesion has no size in mm; scale {scale.origin}")
    return scale


def _tell_empty(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Remark the frames of a clip that show nothing."""
    empty = [str(row["frame"]) for row in rows if row["score"] is None]
    if empty and len(empty) < len(rows):
        listed = ", ".join(empty[:MAX_LISTED]) + (", …" if len(empty) > MAX_LISTED else "")
        remark(path, f"{len(empty)} of {len(rows)} frames show nothing and are left out: {listed}")


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
