"""Asking which nodes are metastatic: crops around them to probabilities, averaged over folds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int16, Int32, Num, UInt8
from numpy.typing import NDArray
from scipy import ndimage

from core import compiler
from core.config import overridden
from core.data import patches
from core.datasets.channels import Phase
from core.infer.batches import in_batches
from core.infer.load import Run
from core.preprocess.resample import Shape
from core.types import Variables
from lnmet.asking import own_choices, positive
from lnmet.identification.config import IdentificationConfig
from lnmet.model import INTENSITIES, identification, normalize

CROPS_AT_A_TIME = 32
"""In memory: 94 MB of two phases at the paper's size, however many nodes there are."""
SECTION = "identify"
"""Of the operating choices: "identify.threshold" is this network's infer.threshold."""

Ask = Callable[[Iterable[Mapping[str, NDArray]]], Float[np.ndarray, "n 2"]]
"""Crops {"image": HU int16 (d, h, w, c), "instance": uint8 (d, h, w)} → logits."""


class Network(NamedTuple):
    """A trained network, and what it takes for the outside of a scan."""

    ask: Ask
    fill: Int16[np.ndarray, "c"]


class Identifier(NamedTuple):
    """Networks of several folds; the mean of their probabilities counts."""

    cfg: IdentificationConfig
    networks: Sequence[Network]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Channels that it wants, in its order."""
        return self.cfg.data.phases

    def __call__(
        self, images: Sequence[Num[np.ndarray, "d h w"]], ids: Int32[np.ndarray, "e i j"]
    ) -> Float[np.ndarray, "n"]:
        """Probabilities that nodes are metastatic.

        Args:
          images: HU of each of `phases` on the grid of the config.
          ids: 1 … n of the nodes, on the examination's own grid.
        """
        boxes = ndimage.find_objects(ids)
        middles = [_middle(ids, node, box) for node, box in enumerate(boxes, start=1)]

        def crops(fill: NDArray) -> Iterator[Mapping[str, NDArray]]:
            for node, middle in enumerate(middles, start=1):
                yield crop_around(images, ids, node, middle, self.cfg.data.patch, fill)

        of_folds = [positive(network.ask(crops(network.fill))) for network in self.networks]
        return np.mean(of_folds, axis=0)

    def is_positive(self, probability: float | None) -> bool:
        """Whether a node of this probability counts as metastatic."""
        return probability is not None and bool(probability >= self.cfg.infer.threshold)


def load_identifier(
    runs: Sequence[Run[IdentificationConfig]], mesh: Mesh, choices: Mapping[str, Any]
) -> Identifier:
    """Load trained networks.

    Args:
      runs: at least one; of several folds.
      mesh: the devices that share the nodes.
      choices: operating choices, of which "identify.…" override the configs'.
    """
    own = own_choices(choices, SECTION)
    networks = [_network(overridden(run.cfg, own), *run.weights(), mesh) for run in runs]
    return Identifier(overridden(runs[0].cfg, own), networks)


def classifier(cfg: IdentificationConfig, variables: Variables, mesh: Mesh) -> Ask:
    """A network over any number of crops, compiled for one batch of them.

    Args:
      cfg: of the network.
      variables: parameters and model state.
      mesh: the devices that share a batch.
    """
    batch = cfg.infer.batch * mesh.size
    predict = in_batches(compiler.of_config(logits, cfg), variables, batch=batch, mesh=mesh)

    def ask(crops: Iterable[Mapping[str, NDArray]]) -> NDArray:
        left, parts = iter(crops), [np.empty((0, identification.NUM_CLASSES), np.float32)]
        while some := list(islice(left, max(batch, CROPS_AT_A_TIME // batch * batch))):
            arrays = (np.stack([crop[name] for crop in some]) for name in ("image", "instance"))
            parts.append(predict(*arrays))
        return np.concatenate(parts)

    return ask


def crop_around(
    images: Sequence[Num[np.ndarray, "d h w"]],
    ids: Int32[np.ndarray, "e i j"],
    node: int,
    middle: Sequence[int],
    shape: Shape,
    fill: Int16[np.ndarray, "c"],
) -> dict[str, NDArray]:
    """HU around a node, which stands at index shape // 2, and its voxels.

    Args:
      images: HU of each phase on the network's grid.
      ids: of the nodes, on the examination's own grid.
      node: id of this one.
      middle: (e, i, j), a voxel of the node.
      shape: voxels (d, h, w) of the crop.
      fill: HU of each phase outside the scan.
    """
    sizes = list(zip(images[0].shape, ids.shape, strict=True))  # of the two grids, by axis
    at = [int((m + 0.5) * new / old) for m, (new, old) in zip(middle, sizes, strict=True)]
    start = [a - n // 2 for a, n in zip(at, shape, strict=True)]
    image = np.stack(
        [
            np.rint(patches.extract(phase, start, shape, outside)).astype(np.int16)
            for phase, outside in zip(images, fill, strict=True)
        ],
        axis=-1,
    )
    return {"image": image, "instance": _instance(ids, node, sizes, start, shape)}


def _instance(
    ids: Int32[np.ndarray, "e i j"],
    node: int,
    sizes: Sequence[tuple[int, int]],
    start: Sequence[int],
    shape: Shape,
) -> UInt8[np.ndarray, "d h w"]:
    """A node's voxels in a crop: of each voxel the nearest on the own grid, and the middle one."""
    nearest, inside = [], []
    for (new, old), first, size in zip(sizes, start, shape, strict=True):
        voxels = first + np.arange(size)
        nearest.append(np.clip((voxels + 0.5) * old / new, 0, old - 1).astype(int))
        inside.append((voxels >= 0) & (voxels < new))
    d, h, w = inside
    instance = (ids[np.ix_(*nearest)] == node) & (d[:, None, None] & h[:, None] & w)
    # A node thinner than a voxel of the grid may lie between their centers.
    instance[tuple(size // 2 for size in shape)] = True
    return instance.astype(np.uint8)


def _network(
    cfg: IdentificationConfig, params: Any, model_state: Mapping[str, Any], mesh: Mesh
) -> Network:
    mean = np.asarray(model_state[INTENSITIES]["mean"])
    fill = np.rint(mean).astype(np.int16)
    return Network(classifier(cfg, {"params": params, **model_state}, mesh), fill)


def logits(
    cfg: IdentificationConfig, variables: Variables, image: Array, instance: Array
) -> Float[Array, "n 2"]:
    """Logits of crops (n, d, h, w, c) in HU around nodes (n, d, h, w)."""
    normalized = normalize(variables, image)
    return identification.apply(cfg.model, variables["params"], normalized, instance > 0)


def _middle(ids: Int32[np.ndarray, "e i j"], node: int, box: tuple[slice, ...]) -> tuple[int, ...]:
    """A voxel of a node near its center."""
    voxel = patches.middle_voxel(np.argwhere(ids[box] == node))
    return tuple(int(v) + part.start for v, part in zip(voxel, box, strict=True))
