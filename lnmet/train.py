"""Training one network of the paper: the command, and what each kind of network makes of it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import cli
from core.commands import train as training
from core.commands.train import Division, Training
from core.errors import InputError
from lnmet import segmentation_train
from lnmet.config import Config
from lnmet.identification import train as identification_train
from lnmet.identification.config import IdentificationConfig
from lnmet.recipes import AnyConfig
from lnmet.status import train as status_train
from lnmet.status.config import StatusConfig


class Network(NamedTuple):
    """A kind of network.

    Args:
      divide: (cfg, data, run folder, fold=, weights=, workers=) → who is learned from, a function
        that makes the training, and notes for the manifest.
      curves: logged values to draw.
    """

    divide: Callable[..., tuple[Division, Callable[[], Training], Mapping[str, Any]]]
    curves: Sequence[str]


NETWORKS: dict[type[AnyConfig], Network] = {
    Config: Network(segmentation_train.divide, segmentation_train.CURVES),
    IdentificationConfig: Network(identification_train.divide, identification_train.CURVES),
    StatusConfig: Network(status_train.divide, status_train.CURVES),
}
"""By the class of their recipes."""


def train(
    cfg: AnyConfig,
    data: cli.Data,
    out: Path,
    *,
    fold: int | None = None,
    weights: Path | None = None,
    nodes: cli.Folders = (),
    workers: int = 0,
    resume: bool = False,
    distributed: bool = False,
    fsdp: bool = False,
    space: int = 1,
) -> None:
    """Train one network: of organs, the tumor, nodes, metastatic ones, or the patient's status.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every case.
      weights: run folder whose parameters are the first ones: for fine-tuning a run of the recipe's
        network, for the identification of nodes a run that segments them. Its intensities are not
        taken over. For the status, a file of a ResNet-18 that was trained on ImageNet, or of a 3D
        one. A run that goes on needs it no more.
      nodes: of a network of the status, the --out of `lnmet segment` with runs of nodes and
        identification for these cases, all in one or shared out among several, as folds are;
        without, the annotated nodes tell. A run that goes on needs it no more.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
      fsdp: cut parameters and optimizer state over the devices, where they fill the memory of one.
      space: devices that share an image, where that fills the memory of one.

    Raises:
      InputError: data, fold, weights or run folder cannot be used.
      RunError: the loss is no longer finite.
    """
    network = NETWORKS[type(cfg)]
    if nodes and not isinstance(cfg, StatusConfig):
        raise InputError("--nodes is for networks of the status")
    told = {"nodes": nodes} if nodes else {}
    notes: dict[str, Any] = {}

    def divide() -> tuple[Division, Callable[[], Training]]:
        division, make, own_notes = network.divide(
            cfg, data, out, fold=fold, weights=weights, workers=workers, **told
        )
        notes.update(own_notes)
        return division, make

    training.train(
        cfg,
        out,
        divide=divide,
        curves=network.curves,
        resume=resume,
        distributed=distributed,
        fsdp=fsdp,
        space=space,
        notes=notes,
    )
