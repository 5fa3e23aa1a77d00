"""A convolution and its gradients as XLA has them: right on GPU and TPU.

A transposed convolution is the transpose of a strided one, S, whose kernel is mirrored and whose
channel axes are swapped. Written as a convolution over an image dilated with zeros, XLA takes it by
its word: 8 times the work in three dimensions, and for the kernel's gradient a window of the whole
image, for which PyTorch needs a 32nd of the time (jax issue 31662). So

  value             transpose of S in its image    cuDNN BackwardInput
  image's gradient  S of the output's gradient     cuDNN Forward
  kernel's          transpose of S in its kernel   cuDNN BackwardFilter
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

LAYOUT = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}

Role = Literal["out", "image", "kernel"]
"""What is computed: the value, or the gradient of one of its arguments."""

GIVEN: dict[Role, tuple[Role, Role]] = {
    "out": ("image", "kernel"),
    "image": ("kernel", "out"),
    "kernel": ("image", "out"),
}
"""From what each of the three is computed, in order."""


class Problem(NamedTuple):
    """All that is known of a convolution before its arrays are.

    Args:
      form: the form that computes it on CPU (`core.nn.cpu.forms`); "direct" is XLA's own, and
        "enlarge" (`core.nn.enlarge`) that of every platform.
      strides: per axis.
      pads: zeros before and after each axis; of a transposed convolution those of S.
      groups: parts of the channels that do not see each other.
      image_size: voxels per axis.
      kernel_size: voxels per axis.
      transposed: whether it is the transpose of a strided one.
    """

    form: str
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int
    image_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    transposed: bool = False


def strided(problem: Problem, wanted: Role, a: jax.Array, b: jax.Array) -> jax.Array:
    """`compute` of a problem that is not transposed."""
    groups = problem.groups

    def forward(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            image,
            kernel,
            problem.strides,
            problem.pads,
            dimension_numbers=LAYOUT[len(problem.strides)],
            feature_group_count=groups,
        )

    if wanted == "out":
        return forward(a, b)
    if wanted == "image":
        image = (len(b), *problem.image_size, groups * a.shape[-2])
        transpose = jax.linear_transpose(lambda x: forward(x, a), _like(image, b))
    else:
        kernel = (*problem.kernel_size, a.shape[-1] // groups, b.shape[-1])
        transpose = jax.linear_transpose(lambda k: forward(a, k), _like(kernel, b))
    return transpose(b)[0]


def compute(
    problem: Problem,
    wanted: Role,
    a: jax.Array,
    b: jax.Array,
    *,
    strided: Callable[[Problem, Role, jax.Array, jax.Array], jax.Array] = strided,
) -> jax.Array:
    """The value from (image, kernel), or a gradient from the other argument and the output's.

    Args:
      problem: what is convolved.
      wanted: "out", "image" from (kernel, gradient), or "kernel" from (image, gradient).
      a: the first.
      b: the second.
      strided: what computes it where it is not transposed.
    """
    if not problem.transposed:
        return strided(problem, wanted, a, b)
    if wanted == "image":
        return strided(problem, "out", b, mirrored(a))
    sizes = zip(problem.image_size, problem.strides, strict=True)
    enlarged = problem._replace(image_size=tuple(n * s for n, s in sizes))
    if wanted == "out":
        return strided(enlarged, "image", mirrored(b), a)
    return mirrored(strided(enlarged, "kernel", b, a))


def _like(shape: tuple[int, ...], array: jax.Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, array.dtype)


def mirrored(kernel: jax.Array) -> jax.Array:
    """Kernel that gives the gradient of a convolution with respect to its image."""
    return jnp.flip(kernel, range(kernel.ndim - 2)).swapaxes(-1, -2)
