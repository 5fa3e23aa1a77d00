"""Label maps that are registered with their scans, and become the labels of a data set."""

import json
import re
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from core.datasets.read import read_dataset
from core.io import nifti
from core.metrics.overlap import dice
from core.phantom.ct.phantom import LABELS, make
from core.phantom.deformation import deformed
from core.volume import Volume, reorient
from lnmet.cases import read_cases
from lnmet.labels import PDAC
from lnmet.register import register
from lnmet.registration import phases
from lnmet.registration.config import ConvexAdamConfig, RegistrationConfig
from lnmet.registration.fields import invert, warp_label
from tests.lnmet.tiny import write_predictions, write_raw
from tests.refusals import refused

COARSE = RegistrationConfig(
    convexadam=ConvexAdamConfig(grid_spacing=3, search_radius=3, iterations=30),
    spacing_mm=6.0,
    multiple=12,
    both_ways=False,
)
AORTA = 4


@pytest.fixture(scope="module")
def phantom():
    return make(3, shape=(36, 48, 60), spacing_mm=(6.0, 6.0, 6.0), tumor_diameter_mm=24.0)


@pytest.fixture(scope="module")
def breathed(phantom):
    return deformed(phantom, 3, amplitude_mm=18.0)


@pytest.fixture
def shifting(monkeypatch):
    """A method that finds everything two voxels further in z."""

    def shift(fixed, moving, cfg):
        return np.broadcast_to(
            np.array([2, 0, 0], np.float32).reshape(3, 1, 1, 1), (3, *fixed.shape)
        )

    both = phases.Method(shift, lambda *given: (shift(*given), shift(*given)))
    monkeypatch.setattr(phases, "METHODS", {"convexadam": both})


def in_ids(phantom, **names: int) -> Volume:
    """Label map of some structures of a phantom."""
    array = np.zeros(phantom.label.shape, np.uint8)
    for name, id_ in names.items():
        array[phantom.label.array == LABELS[name]] = id_
    return phantom.label.with_array(array)


def both_phases(phantom, root: Path, *cases: str, labels=None, ids=None) -> Path:
    images = [phantom.images[phase] for phase in ("arterial", "venous")]
    return write_raw(root, dict.fromkeys(cases, images), labels or {}, ids or {})


def test_label_maps_move_with_their_scan(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a")
    arterial = in_ids(phantom, aorta=AORTA, tumor=PDAC)
    classes = ("aorta", "SMA", "PDAC")
    pred = write_predictions(tmp_path / "pred", {"a": arterial}, classes=classes)
    assert register([data], COARSE, out=tmp_path / "new", labels=pred) == 0
    dataset = read_dataset(tmp_path / "new")
    assert dataset.channels == ("arterial CT", "venous CT")
    assert dataset.label_ids == {"background": 0, "aorta": 1, "SMA": 2, "PDAC": 3}
    (case,) = read_cases(tmp_path / "new").cases
    (warped, venous), label = case.read()
    shifted = np.zeros_like(arterial.array)
    shifted[:-2] = arterial.array[2:]
    np.testing.assert_array_equal(label.array, shifted)
    np.testing.assert_array_equal(warped.array[:-2], phantom.images["arterial"].array[2:])
    np.testing.assert_array_equal(venous.array, phantom.images["venous"].array)


def test_label_maps_of_another_grid_come_to_the_venous_one(phantom, tmp_path, shifting):
    """The arterial scan is a part of the examination, with its own axes."""
    cropped = {}
    for name, whole in (("a", phantom.images["arterial"]), ("l", in_ids(phantom, aorta=AORTA))):
        x, y, z = whole.origin_mm
        cropped[name] = replace(whole, array=whole.array[4:], origin_mm=(x, y, z + 4 * 6.0))
    turned = reorient(cropped["a"], np.diag([-1.0, 1.0, -1.0]))
    images = {"a": [turned, phantom.images["venous"]]}
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(tmp_path / "pred", {"a": cropped["l"]}, classes=("aorta",))
    assert register([data], COARSE, out=tmp_path / "new", labels=pred) == 0
    (case,) = read_cases(tmp_path / "new").cases
    shifted = np.zeros(phantom.label.shape, np.uint8)
    shifted[2:-2] = in_ids(phantom, aorta=AORTA).array[4:]
    np.testing.assert_array_equal(case.read_label().array, shifted)


def test_registration_brings_masks_of_a_breath_back(phantom, breathed, tmp_path):
    names = ("liver", "spleen", "stomach")
    venous = in_ids(phantom, **{name: id_ for id_, name in enumerate(names, start=1)})
    # What lies at x of the venous scan lies at x + u(x) of the arterial one.
    back = invert(jnp.asarray(breathed.field))
    moved = venous.with_array(np.asarray(warp_label(jnp.asarray(venous.array), back)))
    images = {"a": [breathed.arterial, phantom.images["venous"]]}
    data = write_raw(tmp_path / "data", images, {}, {})
    classes = ("spleen", "esophagus", "stomach")  # whatever they are called
    pred = write_predictions(tmp_path / "pred", {"a": moved}, classes=classes)
    assert register([data], COARSE, out=tmp_path / "new", labels=pred) == 0
    registered = nifti.read_label(tmp_path / "new" / "labelsTr" / "a.nii.gz").array
    for id_ in (1, 2, 3):
        true = venous.array == id_
        before, after = dice(moved.array == id_, true), dice(registered == id_, true)
        # Voxels of 6 mm: an organ of a few of them is a voxel off at its border.
        assert after > 0.5 * (1 + before), (names[id_ - 1], before, after)


def test_without_labels_those_of_the_data_set_stay(phantom, tmp_path, shifting):
    own = in_ids(phantom, aorta=1)
    data = both_phases(phantom, tmp_path / "data", "a", labels={"a": own}, ids={"aorta": 1})
    assert register([data], COARSE, out=tmp_path / "new") == 0
    (case,) = read_cases(tmp_path / "new").cases
    np.testing.assert_array_equal(case.read_label().array == AORTA, own.array == 1)


def test_shards_of_a_data_set_make_the_whole(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a", "b")
    for shard in ("0/2", "1/2"):
        assert register([data], COARSE, out=tmp_path / "new", shard=shard) == 0
        assert not (tmp_path / "new" / "results.json").exists()
    assert len([*(tmp_path / "new" / "imagesTr").iterdir()]) == 4
    assert register([data], COARSE, out=tmp_path / "new") == 0
    results = json.loads((tmp_path / "new" / "results.json").read_text())
    assert [case["id"] for case in results["cases"]] == ["a", "b"]


def test_without_any_labels_the_images_are_registered(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a")
    assert register([data], COARSE, out=tmp_path / "new") == 0
    assert len([*(tmp_path / "new" / "imagesTr").iterdir()]) == 2
    assert not (tmp_path / "new" / "labelsTr").exists()


def test_the_page_of_a_pair_shows_both_phases_on_one_grid(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a")
    assert register([data], COARSE, out=tmp_path / "new") == 0
    page = (tmp_path / "new" / "cases" / "a" / "report.html").read_text()
    titles = re.findall(r"<h2>(.*? phase.*?)</h2>", page)
    assert titles == ["venous phase", "arterial phase, registered"]
    first, second = json.loads(re.search(r'id="scene">(.*?)</script>', page)[1])["series"]
    assert first == second
    assert 'href="cases/a/report.html"' in (tmp_path / "new" / "report.html").read_text()


def test_a_case_without_a_label_map_fails_alone_and_leaves_the_folds(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a", "b", "c")
    folds = [{"train": ["a", "b"], "val": ["c"]}]
    (data / "splits_final.json").write_text(json.dumps(folds))
    aorta = in_ids(phantom, aorta=AORTA)
    labels = {"a": None, "b": aorta, "c": aorta}
    pred = write_predictions(tmp_path / "pred", labels, classes=("aorta",))
    assert register([data], COARSE, out=tmp_path / "new", labels=pred) == 1
    dataset = read_dataset(tmp_path / "new")
    assert ([case.id for case in dataset.cases], dataset.skipped) == (["b", "c"], ())
    assert dataset.splits == ((("b",), ("c",)),)
    results = json.loads((tmp_path / "new" / "results.json").read_text())
    assert "lnmet segment failed on case a" in results["cases"][0]["error"]


def test_another_label_map_is_registered_anew(phantom, tmp_path, shifting):
    data = both_phases(phantom, tmp_path / "data", "a")
    for name in ("aorta", "spleen"):
        pred = write_predictions(
            tmp_path / "pred", {"a": in_ids(phantom, **{name: AORTA})}, classes=("aorta",)
        )
        assert register([data], COARSE, out=tmp_path / "new", labels=pred) == 0
        label = nifti.read_label(tmp_path / "new" / "labelsTr" / "a.nii.gz").array
        np.testing.assert_array_equal(label[:-2] == 1, phantom.label.array[2:] == LABELS[name])


@pytest.mark.parametrize("phases_seen", [("venous",), ("arterial", "venous")])
def test_label_maps_of_the_venous_phase_are_refused(phantom, tmp_path, phases_seen):
    data = both_phases(phantom, tmp_path / "data", "a")
    pred = write_predictions(
        tmp_path / "pred", {"a": in_ids(phantom, tumor=PDAC)}, phases=phases_seen
    )
    with refused(pred, "of the arterial phase alone", hint="lnmet pseudo"):
        register([data], COARSE, out=tmp_path / "new", labels=pred)


def test_labels_that_are_no_segmentations_are_refused(phantom, tmp_path):
    data = both_phases(phantom, tmp_path / "data", "a")
    with refused(tmp_path, "holds no results.json", hint="lnmet segment"):
        register([data], COARSE, out=tmp_path / "new", labels=tmp_path)
