import numpy as np

from eusdaf.data import Prepared, batch_of


def picture(number: int) -> Prepared:
    """A picture that is all its number, with a mask that is twice its number."""
    pixels = np.full((3, 3), number, np.uint8)
    name = f"p{number}"
    return Prepared(name, name, name, pixels, 2 * pixels, has_lesion=True)


def test_a_batch_has_the_pictures_with_their_masks():
    batch = batch_of([picture(number) for number in (5, 2, 7)])
    assert {name: (a.shape, a.dtype) for name, a in batch.items()} == {
        name: ((3, 3, 3), np.uint8) for name in ("image", "mask")
    }
    assert batch["image"][:, 0, 0].tolist() == [5, 2, 7]
    np.testing.assert_array_equal(batch["mask"], 2 * batch["image"])
