"""From prepared cases to batches of crops around annotated nodes, with both classes alike.

Every example of a run has a number and a generator of its own: a batch is a pure function of
(seed, step), and an interruption changes nothing that is drawn.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int16, Int32
from numpy.typing import NDArray

from core.data import patches
from core.datasets.channels import Phase
from core.errors import InputError
from core.preprocess.fingerprint import Intensities
from core.random import rng
from core.types import Batch
from lnmet.config import Axes
from lnmet.data import Prepared, batches_of, choose, cut_image, fill_of, loaded_shape
from lnmet.identification.config import DataConfig, IdentificationConfig
from lnmet.labels import METASTATIC, NODE
from lnmet.nodes import node_at


class Node(NamedTuple):
    """An annotated node of a prepared case.

    Args:
      case: that it lies in.
      number: from 0 among the nodes of the case.
      is_metastatic: what is to be told.
      voxel: (d, h, w), one of its own near its center.
    """

    case: Prepared
    number: int
    is_metastatic: bool
    voxel: Int32[np.ndarray, "3"]

    @property
    def id(self) -> str:
        """Of a row about it."""
        return f"{self.case.id}/{self.number}"


def usable(cases: Sequence[Prepared], phases: Sequence[Phase]) -> list[Prepared]:
    """Cases whose metastatic nodes are told from others.

    Raises:
      InputError: there is none, or one lacks a phase.
    """
    told = [case for case in cases if METASTATIC in case.annotated]
    if not told:
        raise InputError(
            "no data set names metastatic lymph nodes",
            hint="give metastatic nodes a label of that name beside 'lymph node' in dataset.json; "
            "without, train nodes alone",
        )
    for case in told:
        if absent := [phase for phase in phases if phase not in case.phases]:
            raise InputError(f"case {case.id} has no {absent[0]} phase", hint="set --data.phases")
    return told


def nodes_of(cases: Sequence[Prepared]) -> list[Node]:
    """Annotated nodes of all cases, in their order."""
    return [
        Node(case, number, bool(row[0]), row[1:4])
        for case in cases
        for number, row in enumerate(case.nodes)
    ]


def batch_maker(
    cases: Sequence[Prepared],
    cfg: IdentificationConfig,
    channels: Sequence[Intensities],
    *,
    host: int = 0,
    num_hosts: int = 1,
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      cases: to train on.
      cfg: the recipe.
      channels: intensities of each, for what lies outside a scan.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Returns:
      `make(step)` → {"image": HU int16 (n, d, h, w, c), "instance": voxels of the node uint8
      (n, d, h, w), "metastatic": uint8 (n,)}; maps of the shape that is loaded for augmentation.

    Raises:
      InputError: no case has a metastatic node, or none has another.
    """
    by_class = [[n for n in nodes_of(cases) if n.is_metastatic is kind] for kind in (False, True)]
    for nodes, kind in zip(by_class, ("other than metastatic", "metastatic"), strict=True):
        if not nodes:
            raise InputError(
                f"no training case has a lymph node {kind}",
                hint="nodes of both kinds are needed: add cases, or take another --fold",
            )
    loaded, fill = loaded_shape(cfg), fill_of(channels)

    def draw(number: int) -> dict[str, NDArray]:
        nodes = by_class[is_positive(number % cfg.data.batch, cfg.data)]
        node = choose(nodes, rng(cfg.run.seed, number))
        return cut(node, cfg.data.phases, loaded, fill)

    return batches_of(draw, cfg.data.batch, host=host, num_hosts=num_hosts)


def is_positive(place: int, cfg: DataConfig) -> bool:
    """Whether an example of a batch, by its place from 0, is a metastatic node."""
    return place >= round(cfg.batch * (1 - cfg.positive))


def cut(
    node: Node, phases: Sequence[Phase], shape: Axes, fill: Int16[np.ndarray, "c"]
) -> dict[str, NDArray]:
    """One example without its batch axis, with the node's voxel at index shape // 2.

    A node at the border of a scan stays in the middle: what lies outside is `fill`.
    """
    case, id_ = node.case, METASTATIC if node.is_metastatic else NODE
    middle = [size // 2 for size in shape]
    start = np.subtract(node.voxel, middle).tolist()
    label = patches.extract(case.label, start, shape, 0)
    return {
        "image": cut_image(case, phases, start, shape, fill),
        "instance": node_at(label == id_, middle).astype(np.uint8),
        "metastatic": np.asarray(node.is_metastatic, np.uint8),
    }
