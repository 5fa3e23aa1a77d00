"""FEE-DL's pipeline as one would write it with pydicom, NumPy and PyTorch."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import torch
from pydicom.errors import InvalidDicomError

from benchmarks.cases.fee import STAGES, Answer
from benchmarks.peers import torch_fee
from benchmarks.peers.torch_layout import NAME
from fee.config import Config
from fee.networks import TASKS

__all__ = ["NAME", "diagnoser"]


def diagnoser(cfgs: Mapping[str, Config], weights: Mapping[str, Any]) -> Callable[[Path], Answer]:
    """The same networks over the same files."""
    networks = {task: torch_fee.load(cfgs[task].model, *weights[task]).eval() for task in TASKS}

    @torch.inference_mode()
    def diagnose(patient: Path) -> Answer:
        seconds = dict.fromkeys(STAGES, 0.0)
        with _timed(seconds, "screen"):
            series = _screen(patient, cfgs["locate"].screen.size)
        num_slices, probs = 0, []
        for files in series:
            with _timed(seconds, "read"):
                image = _read(files, *cfgs["locate"].prepare.window_hu)
            with _timed(seconds, "locate"):
                located = _class_1(networks["locate"], image, cfgs["locate"].infer.batch)
            kept = image[located >= cfgs["locate"].infer.threshold]
            with _timed(seconds, "segment"):
                pixels = _class_1(networks["segment"], kept, cfgs["segment"].infer.batch)
            with _timed(seconds, "diagnose"):
                mask = pixels >= cfgs["segment"].infer.threshold
                voting = mask.any((1, 2))  # a slice without any pancreas has no vote
                fused = np.where(mask[voting], kept[voting], 0).astype(np.uint8)
                probs.append(_class_1(networks["diagnose"], fused, cfgs["diagnose"].infer.batch))
            num_slices += len(image)
        votes = np.concatenate(probs)
        return Answer(num_slices, len(votes), float(votes.mean(dtype=np.float64)), seconds)

    return diagnose


class _timed:
    """Adds the time of a block."""

    def __init__(self, seconds: dict[str, float], stage: str) -> None:
        self._seconds, self._stage = seconds, stage

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds[self._stage] += time.perf_counter() - self._start


def _screen(patient: Path, size: int) -> list[list[Path]]:
    """Files of the axial series of a named phase, from the feet up."""
    series: dict[str, list[tuple[float, Path]]] = defaultdict(list)
    for path in sorted(p for p in patient.rglob("*") if p.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True)
        except InvalidDicomError:
            continue
        description = str(header.get("SeriesDescription", "")).lower()
        is_phase = any(phase in description for phase in ("arterial", "venous", "delayed"))
        is_axial = header.get("ImageOrientationPatient") == [1, 0, 0, 0, 1, 0]
        if is_phase and is_axial and (header.Rows, header.Columns) == (size, size):
            place = float(header.ImagePositionPatient[2])
            series[header.SeriesInstanceUID].append((place, path))
    return [[path for _, path in sorted(files)] for files in series.values()]


def _read(files: list[Path], low: float, high: float) -> np.ndarray:
    """Gray slices (d, s, s)."""
    slices = []
    for path in files:
        dataset = pydicom.dcmread(path)
        hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
        share = (np.clip(hu, low, high) - low) / (high - low)
        slices.append(np.rint(share * 255).astype(np.uint8))
    return np.stack(slices)


def _class_1(network: torch.nn.Module, image: np.ndarray, batch: int) -> np.ndarray:
    """Probability of class 1 of gray slices, or of their pixels."""
    probs = []
    for part in torch.from_numpy(image).split(batch):
        x = part[:, None].float()
        mean = x.mean((2, 3), keepdim=True)
        std = x.var((2, 3), keepdim=True, unbiased=False).sqrt()
        x = ((x - mean) / (std + 1e-8)).contiguous(memory_format=torch.channels_last)
        probs.append(torch.softmax(network(x), dim=1)[:, 1].numpy())
    return np.concatenate(probs)
