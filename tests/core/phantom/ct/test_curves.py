import numpy as np

from core.phantom.ct.curves import along, arc_fraction, curve


def test_a_curve_passes_its_points_at_an_even_pace():
    points = np.array([(0, 0, 0), (10, 5, 0), (20, 0, 5), (30, 0, 20)], float)
    path = curve(points, step_mm=0.5)
    gaps = np.linalg.norm(path[:, None] - points, axis=-1).min(0)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert (gaps <= 0.5).all()
    assert steps.max() < 1.05 * steps.min()


def test_values_along_a_curve_meet_their_knots():
    path = curve([(0, 0, 0), (10, 0, 0)], step_mm=1.0)
    np.testing.assert_allclose(arc_fraction(path), np.linspace(0, 1, 11), atol=1e-12)
    values = along(path, [(0, 2.0), (0.5, 4.0), (1, 3.0)])
    np.testing.assert_allclose(values[[0, 5, 10]], [2, 4, 3], atol=1e-12)


def test_points_that_coincide_count_once():
    path = curve([(0, 0, 0), (10, 0, 0), (10, 0, 0), (20, 0, 0)], step_mm=1.0)
    np.testing.assert_allclose(path, np.arange(21)[:, None] * [1.0, 0, 0], atol=1e-9)
