"""A patient, a registration that shifts nothing, and networks that tell things by their HU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.infer.load import Run
from core.train.run_folder import Division
from core.volume import Volume
from lnmet import phases, stage
from lnmet.config import PrepareConfig
from lnmet.identification.config import RECIPES as IDENTIFICATION
from lnmet.identification.infer import Identifier, Network
from lnmet.networks import Runs
from lnmet.status.answer import Stager
from lnmet.status.infer import StatusSystem
from tests.lnmet.stage.patient import Patient
from tests.lnmet.status.test_answer import system as status_system
from tests.lnmet.test_segmentation import AORTA, IN_REACH, SPACING, TUMOR, segmenter


@pytest.fixture
def patient(tmp_path) -> Patient:
    return Patient(tmp_path / "p")


@pytest.fixture
def registering(monkeypatch):
    """A registration that shifts nothing, and how often it was asked."""
    calls = []

    class Registered:
        def __init__(self, warped: Volume) -> None:
            self.warped, self.notes, self.quality = warped, ("registered",), {"method": "none"}

    def register(venous, arterial, cfg, **_):
        calls.append((venous, arterial))
        return Registered(venous.with_array(venous.array + 1))

    monkeypatch.setattr(phases, "register_phases", register)
    return calls


def division(part: str = "test") -> Division:
    names: dict[str, tuple[str, ...]] = {"train": (), "val": (), "test": ()}
    return Division(0, **(names | {part: ("p",)}), images={"0": part}, patients={})


def _on_this_grid(system: StatusSystem) -> StatusSystem:
    return system._replace(cfg=replace(system.cfg, prepare=PrepareConfig(SPACING)))


@pytest.fixture
def networks(monkeypatch):
    """Networks that tell things by their HU, behind runs of these names."""

    def install(*names: str, probability: float = 0.75, metastatic: bool = True):
        def ask(crops):
            return np.array([[0.0, 5.0 if metastatic else -5.0] for _ in crops], np.float32)

        # The first channel may be the arterial phase, 1 HU above the venous one.
        system = {
            "organs": segmenter("tiny-organs", {AORTA: 4, AORTA + 1: 4}, 11),
            "pdac": segmenter("tiny-pdac", {TUMOR: 1, TUMOR + 1: 1}, 2),
            "nodes": segmenter("tiny-nodes-no-attention", {IN_REACH: 1, IN_REACH + 1: 1}, 2),
        }
        own = {name: network for name, network in system.items() if name in names}
        identifier = Identifier(
            IDENTIFICATION["tiny-identification"], [Network(ask, np.zeros(2, np.int16))]
        )
        told = {
            name: _on_this_grid(status_system(probability, nodes=name == "tumor + nodes"))
            for name in ("tumor + nodes", "tumor alone")
            if name in names
        }
        opened = Runs(
            [Run(Path(name), network.cfg, 1, division()) for name, network in own.items()],
            [Run(Path("identification"), identifier.cfg, 1, division())]
            if "identification" in names
            else [],
        )
        of_status = {n: [Run(Path(n), s.cfg, 1, division())] for n, s in told.items()}
        monkeypatch.setattr(stage, "config_class", lambda path: object)
        monkeypatch.setattr(stage, "open_runs", lambda paths, **_: opened)
        monkeypatch.setattr(stage, "open_networks", lambda paths, **_: of_status)
        monkeypatch.setattr(stage, "load_system", lambda *_: own)
        monkeypatch.setattr(stage, "load_identifier", lambda *_: identifier)
        monkeypatch.setattr(stage, "load_stager", lambda *_, rule: Stager(told, 20.0, rule))
        return opened, of_status

    return install
