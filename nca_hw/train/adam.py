"""Adam, the step from a gradient to the next weights. Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014."""

from __future__ import annotations

import numpy as np

from nca_hw.core.model import Float

DECAY, DECAY_OF_SQUARES = 0.9, 0.999
FLOOR = 1e-8


class Adam:
    """Moves weights in place.

    Attributes:
        weights: float32 arrays by name.
        mean, square: running means of the gradient and of its square, of the same names and shapes.
        steps: that were made.
    """

    def __init__(self, weights: dict[str, Float]) -> None:
        self.weights = weights
        self.mean = {name: np.zeros_like(array) for name, array in weights.items()}
        self.square = {name: np.zeros_like(array) for name, array in weights.items()}
        self.steps = 0

    def advance(self, gradient: dict[str, Float], rate: float) -> None:
        """One step against the gradient."""
        self.steps += 1
        size = np.float32(rate / (1 - DECAY**self.steps))
        spread = np.float32(np.sqrt(1 - DECAY_OF_SQUARES**self.steps))
        for name, weights in self.weights.items():
            mean, square, g = self.mean[name], self.square[name], gradient[name]
            mean += np.float32(1 - DECAY) * (g - mean)
            square += np.float32(1 - DECAY_OF_SQUARES) * (g * g - square)
            weights -= size * mean / (np.sqrt(square) / spread + np.float32(FLOOR))
