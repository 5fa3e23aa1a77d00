"""Asking for the status: a patient's pictures to one probability, averaged over folds."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int16, Num

from core import compiler
from core.config import overridden
from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.batches import in_batches
from core.infer.load import Run, load_runs, require_folds_of_one_data_set, require_same
from core.train.run_folder import PARTS
from core.types import Variables
from lnmet.asking import positive
from lnmet.data import Prepared
from lnmet.model import status
from lnmet.status.augment import gray, normalize
from lnmet.status.config import StatusConfig
from lnmet.status.data import inputs_of, num_inputs, scan_of
from lnmet.status.pictures import Scan, tumor_of

Ask = Callable[[Scan, float], Float[np.ndarray, "n 2"]]
"""(where pictures come from, mm³ of the largest metastatic node) → logits of every picture."""


class StatusSystem(NamedTuple):
    """Networks of several folds; the mean of their probabilities counts (Sec. IV-F)."""

    cfg: StatusConfig
    asks: Sequence[Ask]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Channels that it wants, in its order."""
        return self.cfg.data.phases

    def of_scan(self, scan: Scan, volume_mm3: float) -> float:
        """Probability that the patient has a metastatic node: the mean over pictures and folds."""
        return float(np.mean([positive(ask(scan, volume_mm3)).mean() for ask in self.asks]))

    def __call__(
        self,
        image: Int16[np.ndarray, "d h w c"],
        tumor: Bool[np.ndarray, "d h w"],
        volume_mm3: float,
    ) -> float:
        """Probability that the patient has a metastatic node.

        Args:
          image: HU of `phases` on the grid of cfg.prepare, in canonical orientation.
          tumor: its mask on that grid.
          volume_mm3: of the largest metastatic node, 0 without one.

        Raises:
          InputError: no tumor.
        """
        seen = tumor_of(image, tumor)
        if seen is None:
            raise InputError("shows no tumor, which the status is told from")
        return self.of_scan(Scan(self.phases, image, tumor, 1, seen), volume_mm3)

    def is_positive(self, probability: float) -> bool:
        """Decision about a patient."""
        return probability >= self.cfg.infer.threshold


def open_runs(paths: Sequence[Path], *, allow_unfinished: bool = False) -> list[Run[StatusConfig]]:
    """Runs of one network, several folds side by side.

    Raises:
      InputError: a folder that is no finished run, or runs that do not belong together.
    """
    runs = load_runs(StatusConfig, paths, allow_unfinished=allow_unfinished)
    require_same(runs, lambda cfg: cfg.prepare, lambda cfg: f"{cfg.prepare.spacing_mm} mm")
    require_same(runs, lambda cfg: cfg.model, lambda cfg: f"the network {cfg.model}")
    require_same(runs, lambda cfg: cfg.data, lambda cfg: f"{cfg.data}")
    require_folds_of_one_data_set(runs)
    return runs


def load_system(
    runs: Sequence[Run[StatusConfig]], mesh: Mesh, choices: Mapping[str, Any] | None = None
) -> StatusSystem:
    """Load trained networks.

    Args:
      runs: of `open_runs`.
      mesh: the devices that share a patient's pictures.
      choices: operating choices that override the configs', "infer.threshold" → probability.
    """
    cfg = overridden(runs[0].cfg, choices or {})
    asks = []
    for run in runs:
        params, model_state = run.weights()
        asks.append(asker(run.cfg, {"params": params, **model_state}, mesh))
    return StatusSystem(cfg, asks)


def predict_cases(
    runs: Sequence[Run[StatusConfig]],
    cases: Sequence[Prepared],
    volumes_mm3: Mapping[str, float],
    mesh: Mesh,
) -> list[dict[str, Any]]:
    """Rows of prepared cases: id, patient, score, decision, status, and part in the training.

    Args:
      runs: of `open_runs`.
      cases: with a tumor and the phases that the network sees.
      volumes_mm3: of the largest metastatic node, by case; may lack cases where the network does
        not look at nodes.
      mesh: the devices.
    """
    system = load_system(runs, mesh)
    rows = []
    for case in cases:
        volume_mm3 = volumes_mm3[case.id] if system.cfg.model.nodes else 0.0
        score = system.of_scan(scan_of(case), volume_mm3)
        rows.append(row_of(case, score, system.is_positive(score), runs))
    return rows


def row_of(
    case: Prepared, score: float, is_positive: bool, runs: Sequence[Run[Any]]
) -> dict[str, Any]:
    """What is answered about a case, beside the truth."""
    parts = {run.division.images.get(case.digest) for run in runs} - {None}
    return {
        "id": case.id,
        "patient": case.patient,
        "score": score,
        "decision": "positive" if is_positive else "negative",
        "status": case.status,
        "part": max(parts, key=PARTS.index) if parts else None,  # type: ignore[arg-type]
    }


def asker(cfg: StatusConfig, variables: Variables, mesh: Mesh) -> Ask:
    """A network over the pictures of a patient, compiled for one batch of them.

    Args:
      cfg: of the network.
      variables: parameters and model state.
      mesh: the devices that share the pictures.
    """
    batch = -(-num_inputs(cfg) // mesh.size) * mesh.size
    predict = in_batches(compiler.of_config(logits, cfg), variables, batch=batch, mesh=mesh)

    def ask(scan: Scan, volume_mm3: float) -> Float[np.ndarray, "n 2"]:
        inputs = inputs_of(scan, cfg)
        volumes = np.full(num_inputs(cfg), volume_mm3, np.float32)
        return predict(inputs["image"], inputs["mask"], volumes)

    return ask


def logits(
    cfg: StatusConfig,
    variables: Variables,
    image: Num[Array, "n *s c"],
    mask: Num[Array, "n *s"],
    volume_mm3: Float[Array, "n"],
) -> Float[Array, "n 2"]:
    """Logits of pictures, or boxes, in HU with their tumor and the largest node."""
    variables = dict(variables)
    params = variables.pop("params")
    return status.apply(
        cfg.model,
        params,
        variables,
        normalize(gray(image, cfg.data), mask, cfg.data),
        mask[..., None].astype(jax.numpy.float32),
        volume_mm3,
    )[0]
