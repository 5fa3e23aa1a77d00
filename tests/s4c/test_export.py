"""Exported cascades: votes without panjax, and what no file can hold."""

import json
from dataclasses import replace

import jax.export
import nibabel as nib
import numpy as np
import pytest

from core.errors import InputError
from core.infer.load import Run
from s4c.export import export
from s4c.infer import screen
from tests.contracts import exported
from tests.s4c.test_networks import COARSE, PNET, runs, write_run
from tests.s4c.test_two_phases import data, phases

__all__ = ["data", "phases", "runs"]


def test_windows_vote_alike_without_panjax(phases, data, tmp_path, monkeypatch):
    # Fresh weights give many voxels two equal logits, of which rounding would choose.
    monkeypatch.setattr(Run, "weights", exported.shaken(Run.weights))
    model, scan = tmp_path / "model.npz", data / "imagesTr" / "a_0001.nii.gz"
    export([phases["venous"]], out=model)
    assert screen(runs=[phases["venous"]], venous=scan, out=tmp_path / "out") == 0
    packages, label = exported.packages(tmp_path / "packages"), tmp_path / "label.nii.gz"
    done = exported.run("s4c", packages, model, scan, label)
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "out").rglob("segmentation.nii.gz")
    expected = np.asarray(nib.load(written).dataobj)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(np.asarray(nib.load(label).dataobj), expected)
    (row,) = json.loads((tmp_path / "out" / "results.json").read_text())["cases"]
    assert done.stdout == f"{row['decision']} {row['num_tumor_voxels']} tumor voxels\n"


def test_runs_of_two_phases_are_two_files(phases, tmp_path):
    with pytest.raises(InputError, match="of the phases arterial and venous; export each by itse"):
        export(list(phases.values()), out=tmp_path / "model.npz")


@pytest.mark.parametrize("name", ["infer.skip_air", "prepare.spacing_mm", "decision.voxel_mm"])
def test_what_a_reader_could_not_repeat_is_refused(tmp_path, name):
    section, field = name.split(".")
    value = {"skip_air": True, "spacing_mm": (2.0, 1.0, 1.0), "voxel_mm": 1.0}[field]
    own = replace(getattr(COARSE, section), **{field: value})
    run = write_run(tmp_path / "run", replace(COARSE, **{section: own}))
    with pytest.raises(InputError, match=f"is asked with {name}, which no exported cascade has"):
        export([run], out=tmp_path / "model.npz")
    assert not (tmp_path / "model.npz").exists()


def test_votes_have_no_network_beside_them(phases, tmp_path):
    cfg = replace(PNET["venous"], data=replace(PNET["venous"].data, patch=32))
    with pytest.raises(InputError, match="no network beside it"):
        export(
            [phases["venous"], write_run(tmp_path / "32", cfg)],
            out=tmp_path / "model.npz",
        )


def test_a_choice_is_that_of_the_file(runs, tmp_path):
    choices = {"decision.min_tumor_voxels": 9}
    export(runs, out=tmp_path / "model.npz", choices=choices)
    arrays = np.load(tmp_path / "model.npz")
    about = json.loads(str(arrays["about"]))
    assert about["decision"]["min_tumor_voxels"] == 9
    assert about["networks"] == ["32", "16"]
    program = jax.export.deserialize(bytearray(arrays["16/program"]))
    assert str(program.in_avals[-1].shape) == "(d, h, w, 1)"
    assert str(tmp_path) not in str(arrays["about"])
    assert not any(str(run) in str(arrays["about"]) for run in runs)
