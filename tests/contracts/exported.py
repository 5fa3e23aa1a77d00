"""Running the examples that read exported systems, where this package cannot be imported."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import jax
import numpy as np

from core.infer.load import Run
from core.types import ModelState, Params

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDED = ("jax", "flatbuffers", "nibabel", "pillow")
"""What the examples say that they need."""
NOISE = {"s4c": (0.3, 1), "fee": (0.1, 2), "lnmet": (0.1, 2), "eusdaf": (0.3, 0)}
"""Its scale and seed, under which networks of the contract's two steps tell more than one class."""


def packages(folder: Path) -> Path:
    """A folder that has what the examples need, by links, and nothing else."""
    folder.mkdir()
    for name in _with_dependencies(NEEDED):
        for file in distribution(name).files or ():
            top = Path(distribution(name).locate_file(file.parts[0]))
            link = folder / top.name
            if top.exists() and not link.exists() and top.name not in ("..", "__pycache__"):
                link.symlink_to(top)
    return folder


def _with_dependencies(names: tuple[str, ...]) -> Iterator[str]:
    seen, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:  # of another Python or platform
            continue
        if name not in seen:
            seen.add(name)
            yield name
            waiting += [re.split(r"[ ;<>=!~\[(]", n)[0] for n in needs if "extra ==" not in n]


def run(name: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Call an example with the packages of a folder and the standard library alone."""
    script = EXAMPLES / f"exported_{name}.py"
    code = f"""
import runpy, sys
sys.path.append({str(folder)!r})
for name in ("core", "s4c", "fee", "lnmet", "eusdaf", "flax"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{{name}} is there")
sys.argv = {[str(script), *map(str, words)]!r}
runpy.run_path({str(script)!r}, run_name="__main__")
"""
    # Isolated, and without site, whose .pth files would bring an editable install back.
    line = [sys.executable, "-I", "-S", "-c", code]
    return subprocess.run(line, capture_output=True, text=True, cwd=folder)


def shaken(weights: Any, scale: float = 0.1, seed: int = 2) -> Any:
    """`Run.weights` with noise: after a few steps a network would call everything background."""

    def noisy(run: Run) -> tuple[Params, ModelState]:
        params, model_state = weights(run)
        random = np.random.default_rng(seed)

        def shake(array: np.ndarray) -> np.ndarray:
            return np.float32(array + scale * random.standard_normal(array.shape))

        return jax.tree.map(shake, params), model_state

    return noisy


def of_case(name: str, out: Path, row: Mapping[str, Any], data: Path) -> tuple[list[object], Path]:
    """Scans of a case, as the example takes them, and the labels that the command wrote."""
    folder = out / "cases" / row["id"]
    if name == "lnmet":
        phases = enumerate(("arterial", "venous"))
        scans = [f"{p}={data}/imagesTr/{row['id']}_{n:04d}.nii.gz" for n, p in phases]
        return scans, folder / "segmentation.nii.gz"
    (written,) = folder.rglob("mask.png" if name == "eusdaf" else "segmentation.nii.gz")
    return [row["input"]], written


def assert_same_labels(ours: np.ndarray, theirs: np.ndarray) -> None:
    """But for voxels that rounding decides.

    A command's convolutions on CPU are oneDNN's, an exported program has forms of its own: sums in
    another order. Under noisy weights many voxels are that near a threshold; 1 of 14,976 was seen.
    """
    assert len(np.unique(ours)) > 1
    assert ours.shape == theirs.shape
    assert np.mean(ours != theirs) <= 1e-4
