"""Muon (Jordan et al. 2024): momentum, orthogonalised by five Newton-Schulz steps, for the matrices inside the layers.

torch.optim.Muon does the orthogonalisation in bfloat16, which CPUs without bfloat16 units emulate (about forty times
slower at our sizes), and one matrix at a time; this one is float32 and takes equal shapes together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, as published


def orthogonalise(matrices_LRC: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices (singular values near 1) of a stack of equal shapes."""
    wide = matrices_LRC.shape[-2] <= matrices_LRC.shape[-1]
    x = matrices_LRC if wide else matrices_LRC.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon:
    """Nesterov momentum, orthogonalised, scaled so that updates have the size of AdamW's (x 0.2 sqrt(max dim))."""

    def __init__(
        self, parameters: Sequence[Tensor], momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        self.momentum, self.weight_decay = momentum, weight_decay
        self.groups: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            self.groups[parameter.shape].append(parameter)
        self.buffers = {shape: torch.zeros(len(group), *shape) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """One update from the parameters' gradients."""
        for shape, group in self.groups.items():
            gradient = torch.stack([parameter.grad for parameter in group])  # type: ignore[misc]
            buffer = self.buffers[shape].lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp(buffer, self.momentum)) * (0.2 * max(shape) ** 0.5)
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - learning_rate * self.weight_decay).sub_(change, alpha=learning_rate)
