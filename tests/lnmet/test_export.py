"""Exported segmentation: on a spacing of its own too, and what no file can hold."""

from dataclasses import replace

import jax.numpy as jnp
import nibabel as nib
import numpy as np
import pytest

from core.errors import InputError
from core.infer.load import Run
from core.train.checkpoint import Checkpoints
from core.train.run_folder import Division, open_run, record_division
from core.train.state import State
from lnmet.config import PrepareConfig
from lnmet.export import export
from lnmet.infer import segment
from lnmet.recipes import RECIPES
from lnmet.train import train
from tests.contracts import exported
from tests.lnmet.tiny import phantoms, tiny


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """A run of the arterial tumor on voxels of 6 mm, and its data set of 8 mm."""
    root = tmp_path_factory.mktemp("system")
    phantoms(root / "data")
    cfg = replace(tiny("tiny-pdac-arterial"), prepare=PrepareConfig(spacing_mm=(6.0, 6.0, 6.0)))
    train(cfg, [root / "data"], root / "pdac-arterial")
    train(tiny("tiny-nodes"), [root / "data"], root / "nodes")
    return root


def test_labels_come_back_from_the_networks_own_spacing(system, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "weights", exported.shaken(Run.weights))
    model, runs = tmp_path / "model.npz", [system / "pdac-arterial"]
    scan = system / "data" / "imagesTr" / "phantom_000_0000.nii.gz"
    export(runs, out=model)
    venous = scan.with_name("phantom_000_0001.nii.gz")
    assert segment(runs=runs, arterial=scan, venous=venous, out=tmp_path / "out") == 0
    packages, label = exported.packages(tmp_path / "packages"), tmp_path / "label.nii.gz"
    done = exported.run("lnmet", packages, model, label, f"arterial={scan}")
    assert done.returncode == 0, done.stderr
    (written,) = (tmp_path / "out").rglob("segmentation.nii.gz")
    ours, theirs = (np.asarray(nib.load(path).dataobj) for path in (written, label))
    assert set(np.unique(ours)) == {0, 11}
    # Probabilities are interpolated in another order of sums: one of a half may fall either way.
    assert np.count_nonzero(ours != theirs) <= 1e-4 * ours.size


def test_attention_needs_organs(system, tmp_path):
    with pytest.raises(InputError, match="needs organs to make an attention map of"):
        export([system / "nodes"], out=tmp_path / "model.npz")


def test_networks_of_two_spacings_are_two_files(system, tmp_path):
    train(tiny("tiny-organs"), [system / "data"], tmp_path / "organs")
    with pytest.raises(InputError, match=r"was trained on .* mm"):
        export([tmp_path / "organs", system / "pdac-arterial"], out=tmp_path / "model.npz")


def test_which_nodes_are_metastatic_is_not_exported(system, tmp_path):
    cfg = RECIPES["tiny-identification"]
    state = State(jnp.zeros((), jnp.int32), {"a": jnp.zeros(1)}, {}, {})
    open_run(tmp_path, cfg, resume=False)
    record_division(tmp_path, Division(0, (), (), (), {}, {}))
    with Checkpoints(tmp_path / "checkpoints", keep=1) as checkpoints:
        checkpoints.save_model(0, state)
    with pytest.raises(InputError, match="tells which nodes are metastatic, and segmentations are"):
        export([tmp_path], out=tmp_path / "model.npz", allow_unfinished=True)
