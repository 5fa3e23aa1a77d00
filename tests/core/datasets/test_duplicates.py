from collections import Counter
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, zoom

from core.data.splits import cases_of, k_fold
from core.datasets.case import ImageCase, ImageDataset
from core.datasets.duplicates import (
    difference_hash,
    expected_distance,
    keep_duplicates_together,
    near_pairs,
)
from core.datasets.images import read_images


def scene(seed, shape=(120, 160)):
    """Smooth random picture: as structured as ultrasound, unlike every other seed."""
    field = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 5)
    return np.uint8(255 * (field - field.min()) / np.ptp(field))


def dataset(folder, pictures):
    cases = []
    for name, array in pictures.items():
        Image.fromarray(array).save(folder / f"{name}.png")
        cases.append(ImageCase(name, name, folder / f"{name}.png", ()))
    return ImageDataset("test", folder, "images and masks", tuple(cases), False, ())


def groups(data, **options):
    return [case.patient for case in keep_duplicates_together(data, **options).cases]


def test_the_hash_is_the_sign_of_the_steps():
    ramp = np.tile(np.arange(0, 170, 10, dtype=np.uint8), (16, 1))
    assert difference_hash(ramp).shape == (256,)
    assert difference_hash(ramp).all()
    assert not difference_hash(ramp[:, ::-1]).any()


def jpeg(array):
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, format="JPEG", quality=40)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(
    "change",
    [
        lambda a: np.uint8(a * 0.5 + 40),  # contrast and brightness
        lambda a: zoom(a, 1.5, order=1),
        lambda a: a[2:-2, 3:-1],  # cropped anew
        jpeg,
    ],
    ids=["contrast", "size", "crop", "compression"],
)
def test_a_changed_copy_stays_with_its_original(tmp_path, change):
    pictures = {f"p{n}": scene(n) for n in range(4)} | {"copy": change(scene(2))}
    assert groups(dataset(tmp_path, pictures)) == ["p0", "p1", "p2", "p3", "p2"]


def test_duplicates_join_over_several_steps_and_join_their_patients(tmp_path):
    pictures = {f"p{n}": scene(n) for n in range(4)}
    pictures |= {"copy0": scene(0), "copy1": scene(1)}
    data = dataset(tmp_path, pictures)
    shared = [replace(c, patient="x") if c.id.startswith("copy") else c for c in data.cases]
    # One patient has copies of two others: the three are one, named after the first.
    joined = groups(replace(data, cases=tuple(shared)))
    assert joined == ["p0", "p0", "p2", "p3", "p0", "p0"]


def test_a_known_patient_stays_whole(tmp_path):
    data = dataset(tmp_path, {f"p{n}": scene(n) for n in range(4)})
    cases = tuple(replace(c, patient=f"patient {i % 2}") for i, c in enumerate(data.cases))
    assert groups(replace(data, cases=cases)) == ["patient 0", "patient 1"] * 2


def test_nothing_joins_at_a_share_below_zero_and_all_at_a_large_one(tmp_path):
    data = dataset(tmp_path, {f"p{n}": scene(n % 2) for n in range(4)})
    assert groups(data, max_share=-1.0) == ["p0", "p1", "p2", "p3"]
    assert groups(data, max_share=0.0) == ["p0", "p1", "p0", "p1"]
    assert set(groups(data, max_share=10.0)) == {"p0"}


def test_an_image_that_cannot_be_read_is_like_no_other(tmp_path):
    data = dataset(tmp_path, {f"p{n}": scene(n % 2) for n in range(4)})
    path = data.cases[0].image
    path.write_bytes(path.read_bytes()[:200])
    assert groups(data) == ["p0", "p1", "p2", "p1"]
    for case in data.cases:
        case.image.write_bytes(b"no picture")
    assert groups(data) == ["p0", "p1", "p2", "p3"]


def test_what_all_images_share_tells_nothing_about_a_pair():
    rng = np.random.default_rng(0)
    varied = rng.random((50, 128)) < 0.5
    framed = np.concatenate([varied, np.ones((50, 128), bool)], axis=1)
    # Of the common half each bit adds 2 p (1 - p) with p = 51/52.
    added = expected_distance(framed) - expected_distance(varied)
    assert added == pytest.approx(128 * 2 * (51 / 52) * (1 / 52))
    assert expected_distance(varied) == pytest.approx(64, rel=0.05)  # 128 bits at p near 1/2
    assert near_pairs(framed, max_share=0.44) == []


def test_near_pairs_are_those_of_the_hamming_distance():
    hashes = np.random.default_rng(1).random((30, 64)) < 0.5
    limit = 0.8 * expected_distance(hashes)
    expected = [
        (i, j)
        for i in range(30)
        for j in range(i + 1, 30)
        if np.count_nonzero(hashes[i] != hashes[j]) <= limit
    ]
    assert expected
    assert near_pairs(hashes, max_share=0.8) == expected


def test_real_breast_ultrasound_holds_known_duplicates(shared_data):
    data = read_images(shared_data / "busi")
    together = keep_duplicates_together(data)
    patient = {case.id: case.patient for case in together.cases}
    # Seen side by side: the same lesion, cropped or marked anew, also across classes.
    for pair in (("benign_002", "benign_319"), ("benign_433", "malignant_145")):
        assert patient[pair[0]] == patient[pair[1]]
    sizes = Counter(patient.values())
    assert 0.7 * len(patient) < len(sizes) < 0.95 * len(patient)
    assert max(sizes.values()) <= 8  # no chain has run through the set
    for fold in k_fold(sizes, 5, seed=0):
        split = cases_of(fold, patient)
        assert not {patient[c] for c in split.train} & {patient[c] for c in split.test}
