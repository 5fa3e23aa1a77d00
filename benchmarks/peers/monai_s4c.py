"""MONAI's sliding windows over the PyTorch twin: the coarse pass of S4C as MONAI users run it."""

from collections.abc import Callable

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from benchmarks.peers import torch_s4c
from core.types import ModelState, Params
from s4c.config import Config


def predictor(
    cfg: Config, params: Params, model_state: ModelState
) -> Callable[[np.ndarray], np.ndarray]:
    """Function from a normalised scan (d, h, w) to class probabilities (d, h, w, c)."""
    network = torch_s4c.build(cfg.model, params, model_state).eval()

    def probabilities(windows: torch.Tensor) -> torch.Tensor:
        windows = windows.contiguous(memory_format=torch_s4c.LAYOUT)
        return torch.softmax(network(windows)[0], dim=1)

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            probs = sliding_window_inference(
                torch.from_numpy(image)[None, None],
                roi_size=(cfg.data.patch,) * 3,
                sw_batch_size=cfg.infer.batch,
                predictor=probabilities,
                # Steps of int(patch · (1 − overlap)), the last flush with the border: as ours.
                overlap=1 - cfg.infer.stride / cfg.data.patch,
                mode="constant",
            )
        return probs[0].permute(1, 2, 3, 0).numpy()

    return predict
