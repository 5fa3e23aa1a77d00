"""Words for the status: what is decided, and what networks and rules are called in Table VI."""

from collections.abc import Mapping

from lnmet.status.config import ModelConfig

POSITIVE, NEGATIVE, UNTOLD = "positive", "negative", "not told"
"""Decisions about a patient."""
OURS = "tumor + nodes"
NODES, NODES_NO_ATTENTION = "nodes alone", "nodes alone, no attention"
CT_REPORTED, RADIOMICS, RADIOMICS_CT = "CT report", "radiomics", "radiomics + CT report"
METHODS: Mapping[str, str] = {
    CT_REPORTED: "CT-reported LN status",
    RADIOMICS: "Radiomics",
    RADIOMICS_CT: "Radiomics + CT-reported LN status",
    "ResNet3D": "ResNet3D",
    "ResNet2D": "ResNet2D",
    "DeepTEN": "DeepTEN",
    "tumor alone": "ClsfromPDAC",
    NODES_NO_ATTENTION: "ClsbyLNSeg w/o Attn",
    NODES: "ClsbyLNSeg w/ Attn",
    OURS: "Ours",
}
"""Our names in the order of Table VI, and the paper's."""


def name_of(cfg: ModelConfig) -> str:
    """Name of a network, one of `METHODS`."""
    if cfg.network == "resnet3d":
        return "ResNet3D"
    if cfg.nodes:
        return OURS
    return {"both": "tumor alone", "texture": "DeepTEN", "mean": "ResNet2D"}[cfg.pooling]
