"""The convolutions and poolings of the networks of all papers, at their shapes there."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from core.nn.conv import conv, conv_transpose
from core.nn.pool import max_pool

CONVS = [(2, 64, 1, 32), (2, 64, 32, 32), (2, 32, 64, 64), (2, 16, 128, 128), (2, 8, 256, 256)]
CONVS += [(1, 64, 8, 8), (6, 32, 8, 8), (24, 16, 8, 8)]
"""Batch, side, channels in and out: ResDSN's at 64³, and of width 8 at the demo's batches."""
LARGE = [(16, 16, 4, 4), (2, 32, 16, 16), (2, 16, 64, 64)]
"""The same of kernels of 5³: a V-Net of the demo, and the paper's below its first stage."""
TRANSPOSED = [(2, 8, 256, 128), (2, 16, 128, 64), (2, 32, 64, 32), (6, 16, 16, 8)]
POOLS = [(2, 64, 32)]
NNUNET = [(32, 32, 64, (3, 3, 3), (2, 2, 2)), (32, 32, 64, (3, 3, 3), (1, 2, 2))]
NNUNET += [(64, 1, 32, (1, 3, 3), (1, 1, 1)), (32, 32, 32, (1, 3, 3), (1, 1, 1))]
NNUNET += [(32, 32, 64, (1, 3, 3), (1, 2, 2)), (32, 32, 32, (3, 1, 1), (1, 1, 1))]
"""Side, channels in and out, kernel, stride: what an nnU-Net has besides, in batches of 2."""
BLOCKS = [(16, 64, 32, (2, 2, 2)), (32, 64, 32, (1, 2, 2))]
"""Side, channels in and out, kernel and stride of a transposed convolution."""
IMAGE_CONVS = [(64, 64, 64, 3, 1, 1), (64, 128, 64, 3, 1, 1), (64, 256, 64, 3, 1, 1)]
IMAGE_CONVS += [(64, 128, 128, 3, 1, 32), (32, 256, 256, 3, 1, 32), (16, 512, 512, 3, 1, 32)]
IMAGE_CONVS += [(8, 1024, 1024, 3, 1, 32), (64, 256, 256, 3, 2, 32), (32, 512, 512, 3, 2, 32)]
IMAGE_CONVS += [(64, 64, 128, 3, 2, 1), (256, 3, 64, 3, 1, 1), (256, 3, 64, 7, 2, 1)]
IMAGE_CONVS += [(16, 1024, 512, 1, 1, 1), (32, 512, 1024, 1, 2, 1)]
"""Side, channels in and out, kernel, stride and groups: what DAF-Net and a ResNet are made of."""


class Kernel(NamedTuple):
    """One kernel at one shape.

    Args:
      title: with shapes.
      name: that its peer knows it by.
      ours: of arrays and `options`.
      shapes: of the image, and of the kernel.
      options: by our names.
    """

    title: str
    name: str
    ours: Callable[..., jax.Array]
    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any]

    def arrays(self) -> list[np.ndarray]:
        """Random ones."""
        return [np.random.default_rng(s).standard_normal(s, np.float32) for s in self.shapes]

    def out_grad(self) -> np.ndarray:
        """A random one."""
        arrays = [jax.ShapeDtypeStruct(shape, np.float32) for shape in self.shapes]
        shape = jax.eval_shape(partial(self.ours, **self.options), *arrays).shape
        return np.random.default_rng(1).standard_normal(shape, np.float32)

    @property
    def wanted(self) -> int:
        """Argument from which on gradients are asked for: in a network, not that of the image."""
        return 1 if self.shapes[0][-1] in (1, 3) else 0


def kernels() -> list[Kernel]:
    """Every kernel."""
    return [*_of_volumes(), *_of_nnunet(), *_of_images()]


def _of_volumes() -> Iterator[Kernel]:
    def title(name: str, n: int, side: int, *channels: int) -> str:
        return f"{name} {n} × {side}³ × {' → '.join(str(c) for c in channels)}"

    for size, shapes in {3: CONVS, 5: LARGE}.items():
        for n, side, i, o in shapes:
            arrays = (n, *(side,) * 3, i), (size,) * 3 + (i, o)
            name = title(f"conv {size}³", n, side, i, o)
            yield Kernel(name, "conv", conv, arrays, {"padding": size // 2})
    for n, side, i, o in TRANSPOSED:
        arrays, name = ((n, *(side,) * 3, i), (4, 4, 4, i, o)), "transposed conv 4³ / 2"
        yield Kernel(title(name, n, side, i, o), "conv_transpose", conv_transpose, arrays, {})
    for n, side, c in POOLS:
        arrays = ((n, *(side,) * 3, c),)
        yield Kernel(title("max-pool 2³", n, side, c), "max_pool", max_pool, arrays, {"window": 2})


def _of_nnunet() -> Iterator[Kernel]:
    for side, i, o, size, stride in NNUNET:
        options = {"padding": tuple(k // 2 for k in size), "stride": stride}
        title = f"conv {_times(size)} / {_times(stride)} 2 × {side}³ × {i} → {o}"
        yield Kernel(title, "conv", conv, ((2, *(side,) * 3, i), (*size, i, o)), options)
    for side, i, o, size in BLOCKS:
        title = f"transposed conv {_times(size)} 2 × {side}³ × {i} → {o}"
        arrays = (2, *(side,) * 3, i), (*size, i, o)
        yield Kernel(title, "conv_transpose", conv_transpose, arrays, {"stride": size})


def _times(values: tuple[int, ...]) -> str:
    return "×".join(str(v) for v in values)


def _of_images() -> Iterator[Kernel]:
    for side, i, o, size, stride, groups in IMAGE_CONVS:
        kind = f"conv {size}²" + (f" / {stride}" if stride > 1 else "")
        kind += f" in {groups} groups" if groups > 1 else ""
        options = {"padding": size // 2, "stride": stride, "groups": groups}
        arrays = (2, side, side, i), (size, size, i // groups, o)
        yield Kernel(f"{kind} 2 × {side}² × {i} → {o}", "conv", conv, arrays, options)
    options = {"window": 3, "stride": 2, "padding": 1}
    title, shapes = "max-pool 3² / 2 2 × 128² × 64", ((2, 128, 128, 64),)
    yield Kernel(title, "max_pool", max_pool, shapes, options)
