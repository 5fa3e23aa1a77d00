import jax.numpy as jnp
import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.volume import canonical
from lnmet.anatomy import attention
from lnmet.config import ORGANS
from lnmet.organ_labels import LABEL_MAPS, read_label_map, to_organs
from tests.lnmet.test_anatomy import equation_2

VESSELS = {"SMA", "TC&SA", "LGA", "CHA&PHA"}


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_every_class_has_one_number_and_the_rest_is_said_to_be_absent(name):
    source = LABEL_MAPS[name]
    used = [source.ids[part] for parts in source.classes.values() for part in parts]
    assert len(set(used)) == len(used)
    assert set(source.absent()) == set(ORGANS) - set(source.classes)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("totalsegmentator-v1", VESSELS),
        ("totalsegmentator", VESSELS),
        ("abdomenatlas", VESSELS - {"TC&SA"}),
        ("pants", {"esophagus", "LGA", "CHA&PHA"}),
        ("amos", VESSELS),
        ("btcv", VESSELS | {"duodenum"}),
        ("word", VESSELS | {"aorta"}),
        ("lnmet", set()),
    ],
)
def test_what_public_sets_lack(name, absent):
    assert set(LABEL_MAPS[name].absent()) == absent


def test_parts_of_an_organ_are_merged_and_other_labels_are_background():
    label = np.array([[[0, 4, 17, 19, 28, 26, 250]]])
    assert to_organs(label, LABEL_MAPS["pants"]).tolist() == [[[0, 0, 5, 5, 5, 7, 0]]]


def test_a_users_table(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("organ,id\nLGA,3\npancreas,7\npancreas,9\n")
    source = read_label_map(path)
    assert to_organs(np.array([[[3, 7, 8, 9]]]), source).tolist() == [[[9, 5, 0, 5]]]
    assert "spleen" in source.absent()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("organ,number\nLGA,3\n", "id"),
        ("organ,id\nliver,3\n", "'liver'"),
        ("organ,id\nLGA,three\n", "'three'"),
        ("organ,id\nLGA,0\n", "'0'"),
        ("organ,id\nLGA,3\nSMA,3\n", "3 is given twice"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, problem):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_label_map(path)
    assert problem in error.value.message
    assert str(error.value.path) == str(path)


def test_attention_over_a_real_ct_is_scipys(shared_data):
    label = canonical(nifti.read_label(shared_data / "ct_abdomen" / "example_ct_seg.nii.gz"))
    organs = to_organs(label.array, LABEL_MAPS["totalsegmentator"])
    assert np.unique(organs).tolist() == [0, 1, 3, 4, 5, 6]  # the scan ends below the esophagus
    found = attention(jnp.asarray(organs), label.spacing_mm)
    # 3 mm ramps over float32 distances of up to 40 mm.
    np.testing.assert_allclose(found, equation_2(organs, label.spacing_mm), atol=1e-4)
    assert 0.02 < np.mean(found > 0) < 0.5
