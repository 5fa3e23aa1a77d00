"""Recipes of all networks of the paper, and what kind of network a run folder holds."""

from collections.abc import Mapping
from pathlib import Path

from core.errors import InputError
from core.json_io import read_json
from lnmet import config
from lnmet.config import Config
from lnmet.identification import config as identification
from lnmet.identification.config import IdentificationConfig
from lnmet.status import config as status
from lnmet.status.config import StatusConfig

AnyConfig = Config | IdentificationConfig | StatusConfig

RECIPES: Mapping[str, AnyConfig] = {
    **config.RECIPES,
    **identification.RECIPES,
    **status.RECIPES,
}
"""By what they tell: organs, tumor, nodes; which nodes are metastatic; the patient's status."""
_CLASSES: Mapping[str, type[AnyConfig]] = {cfg.data.target: type(cfg) for cfg in RECIPES.values()}


def config_class(run: Path) -> type[AnyConfig]:
    """Class of the config of a run folder, by its data.target.

    Raises:
      InputError: no run, or none of this paper.
    """
    path = run / "config.json"
    if not path.is_file():
        raise InputError("is no run: config.json is missing", path=run)
    stored = read_json(path)
    target = stored.get("data", {}).get("target")
    if target not in _CLASSES:
        raise InputError(f"is no run of LNMet: its data.target is {target!r}", path=path)
    return _CLASSES[target]
