"""Five patients, and an answer for each."""

from pathlib import Path

import pytest

from core.io.nifti import write
from tests.fee.evaluate.answers import SCORES, SICK, TRUE, volume, write_case, write_results


@pytest.fixture
def truth(tmp_path) -> Path:
    """Five patients; the masks of two are known."""
    root = tmp_path / "truth"
    lines = ["patient,tumor,tumor_type"]
    for name in SCORES:
        (root / "patients" / name).mkdir(parents=True)
        lines.append(f"{name},{int(name in SICK)},{SICK.get(name, '')}")
    (root / "patients.csv").write_text("\n".join(lines) + "\n")
    for name in ("a", "c"):
        write(root / "masks" / name / "arterial.nii.gz", volume(TRUE))
    return root


@pytest.fixture
def pred(tmp_path) -> Path:
    out = tmp_path / "pred"
    return write_results(out, [write_case(out, name) for name in SCORES])
