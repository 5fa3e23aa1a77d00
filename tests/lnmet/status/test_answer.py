"""What is said of an examination: who is asked, who decides, and why somebody cannot be asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import sharding
from core.infer.load import Run
from core.train.run_folder import Division
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.examination import Examined
from lnmet.phases import Phases
from lnmet.segmentation import Segmented
from lnmet.status import answer
from lnmet.status.answer import Stager, load_stager, open_networks
from lnmet.status.config import StatusConfig
from lnmet.status.infer import StatusSystem
from lnmet.status.methods import NODES, NODES_NO_ATTENTION, OURS
from lnmet.status.nodes_alone import Threshold, write_threshold
from tests.lnmet.status.phantoms import tiny_status

SHAPE, SPACING_MM = (10, 12, 14), (8.0, 8.0, 8.0)
ALONE = "tumor alone"


def examination(*, tumor: bool | None = True, phases=("arterial", "venous")) -> Examined:
    """Voxels that are all different; a tumor of 27 voxels, none, or nobody tells."""
    hu = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    grid = Volume(hu, SPACING_MM, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    mask = np.zeros(SHAPE, bool)
    mask[4:7, 5:8, 6:9] = bool(tumor)
    segmented = Segmented(
        np.zeros(SHAPE, np.uint8), [], None, None, None if tumor is None else mask
    )
    return Examined(Phases(dict.fromkeys(phases, grid)), grid, segmented)


def system(
    probability: float, *, nodes: bool = False, threshold: float = 0.5, log=None
) -> StatusSystem:
    """A network that answers the same to every picture."""
    cfg = tiny_status()
    cfg = replace(cfg, model=replace(cfg.model, nodes=nodes), infer=replace(cfg.infer))
    cfg = replace(cfg, infer=replace(cfg.infer, threshold=threshold))

    def ask(scan, volume_mm3):
        if log is not None:
            log.append((scan, volume_mm3))
        return np.tile(np.log([[1 - probability, probability]]), (9, 1)).astype(np.float32)

    return StatusSystem(cfg, [ask])


def stager(systems, threshold_mm3: float | None = None, rule: str = NODES) -> Stager:
    return Stager(systems, threshold_mm3, rule)


def test_the_first_network_decides_and_every_network_answers():
    both = {OURS: system(0.75, nodes=True), ALONE: system(0.25)}
    told = stager(both)(examination(), 120.0)
    assert (told.decision, told.score) == ("positive", pytest.approx(0.75))
    assert told.scores == pytest.approx({OURS: 0.75, ALONE: 0.25, NODES: 120.0})
    assert told.calls == {OURS: True, ALONE: False}
    assert told.note == ""


@pytest.mark.parametrize(
    ("threshold", "decision"), [(0.25, "positive"), (0.3, "positive"), (0.31, "negative")]
)
def test_the_decision_follows_the_threshold(threshold, decision):
    told = stager({ALONE: system(0.3, threshold=threshold - 1e-6)})(examination(), None)
    assert told.decision == decision
    assert told.calls == {ALONE: decision == "positive"}


@pytest.mark.parametrize(("volume_mm3", "is_positive"), [(99.0, False), (100.0, True)])
def test_nodes_alone_call_a_patient_from_their_volume_on(volume_mm3, is_positive):
    told = stager({}, 100.0)(examination(), volume_mm3)
    assert (told.scores, told.calls) == ({NODES: volume_mm3}, {NODES: is_positive})
    assert (told.decision, told.score) == ("not told", None)


def test_nodes_that_were_found_without_attention_are_told_so():
    told = stager({}, 100.0, NODES_NO_ATTENTION)(examination(), 120.0)
    assert told.calls == {NODES_NO_ATTENTION: True}


def test_without_a_threshold_nodes_alone_have_a_score_and_no_call():
    told = stager({})(examination(), 120.0)
    assert (told.scores, told.calls) == ({NODES: 120.0}, {})


def test_without_identification_networks_with_nodes_are_not_asked():
    log = []
    both = {OURS: system(0.75, nodes=True, log=log), ALONE: system(0.25)}
    told = stager(both, 100.0)(examination(), None)
    assert log == []
    assert (told.decision, told.scores) == ("negative", pytest.approx({ALONE: 0.25}))
    assert told.note == f"{OURS}: no network tells which nodes are metastatic"


def test_a_network_is_told_the_volume_and_its_own_grid():
    log = []
    stager({OURS: system(0.75, nodes=True, log=log)})(examination(), 120.0)
    ((scan, volume_mm3),) = log
    assert volume_mm3 == 120.0
    # The grid of the config is that of the examination here.
    np.testing.assert_array_equal(scan.image[..., 1], examination().grid.array)
    assert scan.label.sum() == 27


@pytest.mark.parametrize(
    ("examined", "lack"),
    [
        (examination(tumor=None), "no tumor is segmented"),
        (examination(tumor=False), "no tumor was found"),
        (examination(phases=("venous",)), "no arterial phase"),
    ],
)
def test_who_cannot_be_asked_says_why(examined, lack):
    told = stager({ALONE: system(0.75)})(examined, None)
    assert (told.decision, told.score, dict(told.scores)) == ("not told", None, {})
    assert told.note == f"{ALONE}: {lack}"
    assert told.row() == {"decision": "not told", "score": None, "scores": {}, "calls": {}}


def test_a_tumor_that_its_grid_does_not_show_is_told():
    """A voxel of 2 mm beside the center of the one of 8 mm that it is in."""
    examined = examination()
    fine = replace(examined.grid, spacing_mm=(2.0, 2.0, 2.0))
    tumor = np.zeros(SHAPE, bool)
    tumor[4, 4, 4] = True
    examined = Examined(
        Phases(dict.fromkeys(("arterial", "venous"), fine)),
        fine,
        examined.segmented._replace(tumor=tumor),
    )
    told = stager({ALONE: system(0.75)})(examined, None)
    assert told.note == f"{ALONE}: the tumor is smaller than a voxel of its grid"


def test_ours_comes_first_in_whatever_order_runs_are_given(tmp_path, monkeypatch):
    models = {
        "alone": tiny_status("tiny-status-no-nodes"),
        "texture": tiny_status("tiny-status-deepten"),
        "ours": tiny_status(),
        "ours-1": tiny_status(),
    }
    monkeypatch.setattr(answer, "load_config", lambda cls, path: models[path.name])
    monkeypatch.setattr(answer, "open_runs", lambda paths, **_: [run(p) for p in paths])
    opened = open_networks([tmp_path / name for name in models], allow_unfinished=False)
    names = {name: [own.path.name for own in runs] for name, runs in opened.items()}
    assert list(names) == [OURS, ALONE, "DeepTEN"]
    assert names[OURS] == ["ours", "ours-1"]


def run(folder: Path) -> Run[StatusConfig]:
    """A run that is only asked where it is."""
    return Run(folder, tiny_status(), 1, Division(None, (), (), (), {}, {}))


def test_thresholds_of_nodes_alone_are_averaged_over_folds(tmp_path, monkeypatch):
    asked: list[dict] = []

    def load_system(runs, mesh, choices) -> StatusSystem:
        asked.append(dict(choices))
        return system(0.5)

    monkeypatch.setattr(answer, "load_system", load_system)
    runs = [run(tmp_path / name) for name in ("0", "1", "2")]
    for own, volume_mm3 in zip(runs, (100.0, 300.0), strict=False):
        own.path.mkdir()
        write_threshold(own.path, Threshold(volume_mm3, "val"))
    choices = {"status.threshold": 0.3, "infer.threshold": 0.9, "identify.threshold": 0.8}
    loaded = load_stager({OURS: runs}, sharding.mesh(), choices, rule=NODES)
    assert loaded.nodes_alone_mm3 == 200.0
    assert asked == [{"infer.threshold": 0.3}]
    assert load_stager({OURS: runs[2:]}, sharding.mesh(), {}, rule=NODES).nodes_alone_mm3 is None
