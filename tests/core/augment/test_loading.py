import pytest

from core.augment.loading import loading_shape


def test_the_patch_of_nnunets_plan_is_loaded_at_its_size():
    assert loading_shape((80, 192, 160), 30.0, (0.85, 1.25)) == (194, 289, 210)


def test_what_neither_turns_nor_shrinks_is_loaded_as_it_is():
    assert loading_shape((8, 12, 9), 0.0, (1.0, 1.4)) == (8, 12, 9)


def test_half_the_scale_takes_twice_the_size():
    assert loading_shape((8, 12, 9), 0.0, (0.5, 1.4)) == (16, 24, 18)


def test_a_quarter_turn_has_room_for_the_longest_axis():
    assert loading_shape((8, 16, 12), 90.0, (1.0, 1.0)) == (16, 16, 16)


def test_refuses_angles_and_scales_out_of_range():
    with pytest.raises(ValueError, match=r"degrees must lie in \[0, 90\]; got 91"):
        loading_shape((8, 8, 8), 91.0, (1.0, 1.0))
    with pytest.raises(ValueError, match="the smallest scale must be positive; got 0"):
        loading_shape((8, 8, 8), 30.0, (0.0, 1.0))
