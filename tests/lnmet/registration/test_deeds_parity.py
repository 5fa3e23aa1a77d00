"""Beside the authors' program: `deedsBCV` on PATH, made from github.com/mattiaspaul/deedsBCV."""

import shutil
import subprocess
from pathlib import Path

import jax.numpy as jnp
import nibabel as nib
import numpy as np
import pytest

from lnmet.registration.deeds import register
from lnmet.registration.deeds_config import DeedsConfig
from lnmet.registration.deeds_fields import upsampled
from tests.lnmet.registration.test_deeds import deformation, textured, warped

PROGRAM = shutil.which("deedsBCV")
SHAPE = (48, 64, 56)

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(PROGRAM is None, reason="deedsBCV is not on PATH"),
]


def registered_by_deeds(fixed: np.ndarray, moving: np.ndarray, folder: Path) -> np.ndarray:
    files = {"-F": folder / "fixed.nii.gz", "-M": folder / "moving.nii.gz", "-O": folder / "out"}
    for flag, image in (("-F", fixed), ("-M", moving)):
        nib.save(nib.Nifti1Image(image.T, np.eye(4)), files[flag])  # type: ignore[attr-defined]
    command = [str(PROGRAM), *(str(word) for pair in files.items() for word in pair)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    nodes = DeedsConfig().levels()[-1].nodes(fixed.shape)
    along = np.fromfile(folder / "out_displacements.dat", np.float32).reshape(3, *nodes)
    # The program writes its second, first and third axis; its first is our last.
    return np.asarray(upsampled(jnp.asarray(along[[2, 0, 1]]), fixed.shape))


def test_field_is_that_of_the_authors_program(tmp_path: Path):
    fixed = np.round(warped(textured(SHAPE), deformation(SHAPE, 8.0, 10.0)))
    theirs = registered_by_deeds(fixed, textured(SHAPE), tmp_path)
    apart = np.linalg.norm(register(fixed, textured(SHAPE)) - theirs, axis=0)
    # Sums in another order turn a few bits, ties of the tree and, of labels, near ties.
    assert np.median(apart) < 1e-4
    assert apart.mean() < 0.02
    # The field itself is far longer.
    assert np.linalg.norm(theirs, axis=0).mean() > 1
