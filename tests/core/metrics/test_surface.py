"""Distances between outlines against brute force, scipy and MONAI."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, directed_hausdorff

from core.metrics.surface import (
    average_distance,
    contour,
    hausdorff,
    mean_absolute_distance,
    surface_dice,
    surface_distances,
)

EMPTY = np.zeros((6, 7), bool)
SUMMARIES = {
    "average_distance": average_distance,
    "hausdorff": hausdorff,
    "mean_absolute_distance": mean_absolute_distance,
}


def _blobs(seed, shape):
    """Two ragged masks; both touch the border of the image."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape).reshape(len(shape), -1).T
    masks = []
    for _ in range(2):
        far = np.linalg.norm(grid - rng.uniform(0, shape), axis=1)
        masks.append(far < rng.uniform(3, max(shape) / 2) + rng.normal(size=far.size))
    return [mask.reshape(shape) for mask in masks]


def _by_pairs(pred, true, spacing):
    """All distances between contour points, found by looking at every neighbor of every pixel."""

    def points(mask):
        edge = []
        for place in np.argwhere(mask):
            steps = np.concatenate([np.eye(mask.ndim, dtype=int), -np.eye(mask.ndim, dtype=int)])
            around = place + steps
            outside = ((around < 0) | (around >= mask.shape)).any(axis=1)
            if outside.any() or not all(mask[tuple(p)] for p in around):
                edge.append(place * np.asarray(spacing))
        return np.array(edge, float)

    return points(pred), points(true)


CASES = [((20, 31), (1.0, 1.0)), ((20, 31), (0.4, 1.3)), ((8, 9, 10), (2.5, 0.7, 0.7))]


@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("seed", range(4))
def test_summaries_are_their_formulas_over_all_pairs_of_points(shape, spacing, seed):
    pred, true = _blobs(seed, shape)
    a, b = _by_pairs(true, pred, spacing)
    pairs = cdist(a, b)
    to_b, to_a = pairs.min(axis=1), pairs.min(axis=0)
    distances = surface_distances(pred, true, spacing=spacing)
    # Float64 distances; a transform and a pairwise search may round the last digit differently.
    near = {"rel": 1e-12, "abs": 1e-12}
    assert average_distance(distances) == pytest.approx(max(to_b.mean(), to_a.mean()), **near)
    assert mean_absolute_distance(distances) == pytest.approx(
        (to_b.mean() + to_a.mean()) / 2, **near
    )
    expected = max(directed_hausdorff(a, b)[0], directed_hausdorff(b, a)[0])
    assert hausdorff(distances) == pytest.approx(expected, **near)
    expected = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    assert hausdorff(distances, percentile=95) == pytest.approx(expected, **near)
    within = (to_b <= 1).sum() + (to_a <= 1).sum()
    assert surface_dice(distances, tolerance=1) == within / (to_a.size + to_b.size)


def test_contour_of_a_square_is_its_rim_and_the_border_counts_as_outside():
    mask = np.zeros((6, 6), bool)
    mask[1:5, 1:5] = True
    rim = mask.copy()
    rim[2:4, 2:4] = False
    np.testing.assert_array_equal(contour(mask), rim)
    full = np.ones((4, 5, 6), bool)
    expected = full.copy()
    expected[1:-1, 1:-1, 1:-1] = False
    np.testing.assert_array_equal(contour(full), expected)


def test_a_corner_neighbor_outside_does_not_make_a_contour():
    mask = np.ones((5, 5), bool)
    mask[0, 0] = False
    assert not contour(mask)[1, 1]  # only its diagonal neighbor is outside


@pytest.mark.parametrize("shift", [1, 3])
def test_a_moved_line_is_as_far_as_it_moved(shift):
    pred, true = np.zeros((9, 12), bool), np.zeros((9, 12), bool)
    true[2], pred[2 + shift] = True, True
    distances = surface_distances(pred, true, spacing=(0.5, 9.0))
    assert [f(distances) for f in SUMMARIES.values()] == [0.5 * shift] * 3


@pytest.mark.parametrize("summary", SUMMARIES.values(), ids=SUMMARIES.keys())
def test_empty_masks_are_undefined_and_one_empty_mask_is_infinitely_far(summary):
    point = EMPTY.copy()
    point[2, 3] = True
    assert np.isnan(summary(surface_distances(EMPTY, EMPTY)))
    assert summary(surface_distances(EMPTY, point)) == np.inf
    assert summary(surface_distances(point, EMPTY)) == np.inf
    assert type(summary(surface_distances(EMPTY, point))) is float


def test_surface_dice_of_empty_masks():
    mask = ~EMPTY
    assert np.isnan(surface_dice(surface_distances(EMPTY, EMPTY), tolerance=2))
    assert surface_dice(surface_distances(mask, EMPTY), tolerance=2) == 0


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, np.nan)])
def test_refuses_a_spacing_that_is_not_one_positive_number_per_axis(spacing):
    with pytest.raises(ValueError, match="spacing must be 2 positive numbers"):
        surface_distances(EMPTY, EMPTY, spacing=spacing)


def test_refuses_masks_of_other_shapes_ranks_and_types():
    with pytest.raises(ValueError, match=r"pred_mask .* true_mask"):
        surface_distances(EMPTY, EMPTY.T)
    with pytest.raises(ValueError, match="pred_mask must have 2 or 3 axes"):
        surface_distances(EMPTY[0], EMPTY[0])
    with pytest.raises(ValueError, match="mask must be boolean; got uint8"):
        surface_distances(EMPTY.astype(np.uint8), EMPTY.astype(np.uint8))


def test_refuses_impossible_percentiles_and_tolerances():
    distances = surface_distances(~EMPTY, ~EMPTY)
    with pytest.raises(ValueError, match=r"percentile must lie in \[0, 100\]; got 101"):
        hausdorff(distances, percentile=101)
    with pytest.raises(ValueError, match="tolerance must not be negative; got -1"):
        surface_dice(distances, tolerance=-1)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI's own call
@pytest.mark.parametrize(("shape", "spacing"), CASES)
@pytest.mark.parametrize("seed", range(4))
def test_distances_are_those_of_monai(shape, spacing, seed):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    metrics = pytest.importorskip("monai.metrics", reason="MONAI is not installed")
    pred, true = _blobs(seed, shape)
    theirs = [torch.tensor(mask[None, None]) for mask in (pred, true)]
    options = {"include_background": True, "spacing": list(spacing)}
    distances = surface_distances(pred, true, spacing=spacing)
    near = {"rel": 1e-6}  # MONAI keeps distances in float32
    peer = metrics.compute_hausdorff_distance(*theirs, **options)
    assert hausdorff(distances) == pytest.approx(peer.item(), **near)
    peer = metrics.compute_hausdorff_distance(*theirs, percentile=95, **options)
    assert hausdorff(distances, percentile=95) == pytest.approx(peer.item(), **near)
    there = metrics.compute_average_surface_distance(*theirs, **options).item()
    back = metrics.compute_average_surface_distance(*theirs[::-1], **options).item()
    assert average_distance(distances) == pytest.approx(max(there, back), **near)
    assert mean_absolute_distance(distances) == pytest.approx((there + back) / 2, **near)
    # A tolerance that no distance equals, so that float32 cannot tip one over.
    peer = metrics.compute_surface_dice(*theirs, class_thresholds=[1.01], **options)
    assert surface_dice(distances, tolerance=1.01) == pytest.approx(peer.item(), **near)
