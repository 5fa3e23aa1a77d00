"""Any number of images through a network compiled for one batch, in bounded memory."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Shaped

from core import check, sharding

T = TypeVar("T")


def in_batches(
    apply: Callable[..., Array], variables: Any, *, batch: int, mesh: Mesh
) -> Callable[..., Shaped[np.ndarray, "n ..."]]:
    """A trained network over any number of images; one batch is fetched while the next computes.

    Args:
      apply: jitted, variables and arrays of a batch (b, ...) → its answers (b, ...); each from its
        own image.
      variables: of the network; they are placed on the devices once.
      batch: images per call of the network, over all devices. The last batch is filled up with
        zeros, whose answers are dropped: one compilation serves every number.
      mesh: the devices that share a batch along `data`.

    Returns:
      A function of arrays (n, ...) of equal length on the host, such as images and their masks, to
      as many answers on the host; None among the arrays is left out.

    Raises:
      ValueError: the devices do not divide the batch.
    """
    check.divisible("batch", (batch,), mesh.shape["data"], "devices that share it")
    placed = jax.device_put(variables, sharding.replicated(variables, mesh))

    def predict(*inputs: Shaped[np.ndarray, "n ..."] | None) -> Shaped[np.ndarray, "n ..."]:
        images = [array for array in inputs if array is not None]
        num = len(images[0])
        shapes = [jax.ShapeDtypeStruct((batch, *a.shape[1:]), a.dtype) for a in images]
        answer, places = jax.eval_shape(apply, placed, *shapes), sharding.split_batch(shapes, mesh)
        answers = np.empty((num, *answer.shape[1:]), answer.dtype)

        def started() -> Iterator[tuple[int, Array]]:
            for first in range(0, num, batch):
                parts = [_filled(a[first : first + batch], batch) for a in images]
                yield first, apply(placed, *jax.device_put(parts, places))

        for first, answer in one_behind(started()):
            answers[first : first + batch] = np.asarray(answer)[: num - first]
        return answers

    return predict


def one_behind(items: Iterator[T]) -> Iterator[T]:
    """Hold each item back until the next is there: it is fetched while that one computes."""
    held = list(islice(items, 1))
    for item in items:
        yield held.pop()
        held.append(item)
    yield from held


def _filled(part: Shaped[np.ndarray, "n ..."], batch: int) -> Shaped[np.ndarray, "b ..."]:
    """With zeros at its end."""
    full = np.zeros((batch, *part.shape[1:]), part.dtype)
    full[: len(part)] = part
    return full
