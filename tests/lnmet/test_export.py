"""Exported systems: on spacings of their own too, from organs to the status."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import nibabel as nib
import numpy as np
import pytest

from core import json_io
from core.errors import InputError
from core.infer.load import Run
from core.preprocess.fingerprint import Intensities
from core.train.checkpoint import Checkpoints
from core.train.run_folder import MANIFEST, Division, open_run, record_division
from core.train.state import State
from lnmet import model
from lnmet.config import PrepareConfig
from lnmet.export import export
from lnmet.identification.config import IdentificationConfig
from lnmet.infer import segment
from lnmet.labels import CLASSES, METASTATIC, NODE, PDAC
from lnmet.model import identification, status
from lnmet.stage import stage
from lnmet.status.config import StatusConfig
from lnmet.train import train
from tests.contracts import exported
from tests.lnmet.status.phantoms import tiny_status
from tests.lnmet.tiny import phantoms, tiny

pytestmark = pytest.mark.slow  # all networks of the paper, in processes of their own


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


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Runs of every kind with random weights, those of single nodes on a spacing of their own."""
    root = tmp_path_factory.mktemp("chain")
    coarse = PrepareConfig(spacing_mm=(9.0, 9.0, 9.0))
    # Attention at random organs would be none: tests/contracts have a system with attention.
    cfgs = {name: tiny(f"tiny-{name}") for name in ("organs", "pdac", "nodes-no-attention")}
    of_nodes = replace(tiny("tiny-identification"), prepare=coarse)
    cfgs |= {"fold-0": of_nodes, "fold-1": of_nodes, "status": tiny_status()}
    return {name: _random_run(root / name, cfg, n) for n, (name, cfg) in enumerate(cfgs.items())}


def _random_run(folder, cfg, seed):
    open_run(folder, cfg, resume=False)
    record_division(folder, Division(seed, ("a",), (), ("b",), {"A": "train"}, {}))
    variables = _variables(cfg, jax.random.key(seed))
    state = State(jnp.zeros((), jnp.int32), variables.pop("params"), variables, {})
    with Checkpoints(folder / "checkpoints", keep=1) as checkpoints:
        checkpoints.save_model(0, state)
    json_io.write_json(folder / MANIFEST, {})
    return folder


def _variables(cfg, key):
    if isinstance(cfg, StatusConfig):
        return dict(status.init(cfg.model, key, (1, *[cfg.data.size] * 2, 3)))
    phases = len(cfg.data.phases)
    intensities, shape = [Intensities(-100, 200, 50, 80)] * phases, (1, *cfg.data.patch, phases)
    if isinstance(cfg, IdentificationConfig):
        return dict(identification.init(cfg.model, key, shape, intensities=intensities))
    num_classes = len(CLASSES[cfg.data.target])
    own = {"num_classes": num_classes, "intensities": intensities}
    return dict(model.init(cfg.model, key, shape, **own))


def test_the_whole_chain_answers_without_panjax(chain, system, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "weights", exported.shaken(Run.weights, 0.2, 3))
    choices = {"infer.threshold": 0.503, "identify.threshold": 0.4, "status.threshold": 0.3}
    export(list(chain.values()), out=tmp_path / "model.npz", choices=choices)
    scans = system / "data" / "imagesTr"
    named = {p: scans / f"phantom_000_{n:04d}.nii.gz" for n, p in enumerate(("arterial", "venous"))}
    runs, out = list(chain.values()), tmp_path / "out"
    assert stage(runs=runs, out=out, **named, registered=True, choices=choices) == 0
    packages, label = exported.packages(tmp_path / "packages"), tmp_path / "label.nii.gz"
    words = [f"{phase}={path}" for phase, path in named.items()]
    done = exported.run("lnmet", packages, tmp_path / "model.npz", label, *words)
    assert done.returncode == 0, done.stderr
    (written,) = out.rglob("segmentation.nii.gz")
    expected = np.asarray(nib.load(written).dataobj)
    assert {PDAC, NODE, METASTATIC} <= set(np.unique(expected).tolist())
    np.testing.assert_array_equal(np.asarray(nib.load(label).dataobj), expected)
    (row,) = json.loads((out / "results.json").read_text())["cases"]
    assert done.stdout.splitlines()[-1].split()[0] == row["decision"]
    assert float(done.stdout.split()[-1]) == pytest.approx(row["score"], abs=1e-5)


def test_the_status_needs_what_it_looks_at(chain, tmp_path):
    out = tmp_path / "model.npz"
    with pytest.raises(InputError, match="looks at a tumor, and no run segments it"):
        export([chain["status"]], out=out)
    with pytest.raises(InputError, match="looks at nodes, and no run tells metastatic ones"):
        export([chain["pdac"], chain["status"]], out=out)


def test_metastatic_nodes_need_nodes(chain, tmp_path):
    with pytest.raises(InputError, match="tells which nodes are metastatic, and no run segments a"):
        export([chain["fold-0"]], out=tmp_path / "model.npz")
