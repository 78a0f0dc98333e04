"""Log-probabilities, their gradient, and AdamW on one flat vector of parameters.

All parameters live in two flat vectors (matrices, which weight decay shrinks, and the rest), so that zeroing,
clipping and AdamW are a handful of operations however many layers there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenkeel.engines.native.checkpoint import State
from evenkeel.engines.native.model import Transformer
from evenkeel.engines.native.packing import Packed, completion_states, micro_batches, pack
from evenkeel.records.errors import UserError
from evenkeel.records.types import TrainSequence

MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # torch's names in AdamW's state


def logprobs(model: Transformer, batch: Sequence[TrainSequence], budget: int) -> np.ndarray:
    """logp_BT float64 of the completion tokens, right-padded with 0; untempered."""
    result_BT = np.zeros(_shape(batch))
    with torch.inference_mode():
        for rows in micro_batches(batch, range(len(batch)), budget):
            packed = pack(batch, rows)
            logp_M = _token_logprobs(model, packed)
            result_BT[_destination(packed)] = logp_M.double().numpy()
    return result_BT


def forward_backward(
    model: Transformer, batch: Sequence[TrainSequence], weights_BT: np.ndarray, budget: int
) -> np.ndarray:
    """Add the gradient of sum(weights x logp) to the parameters' gradients; returns logp_BT as `logprobs`.

    Rows whose weights are all zero are never computed: their log-probabilities come back as 0.
    Raises ValueError for weights of another shape or not finite.
    """
    weights_BT = np.asarray(weights_BT, dtype=np.float64)
    shape = _shape(batch)
    if weights_BT.shape != shape or not np.isfinite(weights_BT).all():
        raise ValueError(f"weights must be finite and of shape {shape}, not {weights_BT.shape}")
    inside_BT = np.arange(shape[1]) < np.array([len(row.completion) for row in batch], dtype=int)[:, None]
    live = np.flatnonzero((weights_BT * inside_BT).any(axis=1)).tolist()
    result_BT = np.zeros(shape)
    for rows in micro_batches(batch, live, budget):
        packed = pack(batch, rows)
        place = _destination(packed)
        logp_M = _token_logprobs(model, packed)
        logp_M.backward(torch.from_numpy(weights_BT[place]).float())
        result_BT[place] = logp_M.detach().double().numpy()
    return result_BT


def _token_logprobs(model: Transformer, packed: Packed) -> Tensor:
    logits_MV = model.logits(completion_states(model, packed))
    return -F.cross_entropy(logits_MV, packed.targets_M, reduction="none")


def _destination(packed: Packed) -> tuple[np.ndarray, np.ndarray]:
    """Row and column in the caller's batch of every completion token, in packed order."""
    flat_M, length = packed.own_places_M.numpy(), packed.own_BT.shape[1]
    return np.array(packed.rows)[flat_M // length], flat_M % length


def _shape(batch: Sequence[TrainSequence]) -> tuple[int, int]:
    return len(batch), max((len(row.completion) for row in batch), default=0)


class Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with gradient clipping, over the model's parameters made flat."""

    def __init__(
        self, model: Transformer, *, weight_decay: float, betas: tuple[float, float], clip: float | None
    ) -> None:
        self.clip = math.inf if clip is None else clip
        matrices = [p for p in model.parameters() if p.dim() > 1]
        vectors = [p for p in model.parameters() if p.dim() <= 1]
        self.flat = [_flatten(matrices), _flatten(vectors)]
        groups = [
            {"params": [flat], "weight_decay": decay}
            for flat, decay in zip(self.flat, (weight_decay, 0.0), strict=True)
        ]
        self.adam = torch.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)

    def step(self, learning_rate: float) -> dict[str, float]:
        """Clip, step, zero the gradient. Raises UserError, changing nothing, when it is not finite."""
        gradients = [flat.grad for flat in self.flat if flat.grad is not None]
        grad_norm = _norm(gradients)
        if not math.isfinite(grad_norm):
            raise UserError(
                "the gradient is not finite", fix="Lower the learning rate, or look at the rewards."
            )
        if grad_norm > self.clip:
            for gradient in gradients:
                gradient.mul_(self.clip / grad_norm)
        before = [flat.detach().clone() for flat in self.flat]
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        self.adam.step()
        self.zero()
        with torch.no_grad():
            update_norm = _norm([old.sub_(flat) for old, flat in zip(before, self.flat, strict=True)])
        return {"grad_norm": grad_norm, "update_norm": update_norm}

    def zero(self) -> None:
        """Forget the gradient and keep its storage (the parameters' gradients are views of it)."""
        for flat in self.flat:
            if flat.grad is not None:
                flat.grad.zero_()

    def state(self) -> State:
        """Moments and step count, by name."""
        state: State = {}
        for name, flat in zip(("matrices", "vectors"), self.flat, strict=True):
            moments = self.adam.state.get(flat) or _fresh_moments(flat)
            state |= {f"{name}.{key}": moments[key].detach() for key in MOMENTS}
        return state

    def check(self, state: State, source: Path) -> None:
        """Raises UserError naming `source` when the state belongs to another model."""
        wanted = {name: tensor.shape for name, tensor in self.state().items()}
        if {name: tensor.shape for name, tensor in state.items()} != wanted:
            raise UserError("holds the optimizer's state of another model", file=source)

    def restore(self, state: State) -> None:
        """Take back what `state` gave."""
        for name, flat in zip(("matrices", "vectors"), self.flat, strict=True):
            self.adam.state[flat] = {key: state[f"{name}.{key}"].clone() for key in MOMENTS}


def _fresh_moments(flat: Tensor) -> dict[str, Tensor]:
    return {"step": torch.zeros(()), "exp_avg": torch.zeros_like(flat), "exp_avg_sq": torch.zeros_like(flat)}


def _flatten(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """One vector of all parameters and one of their gradients; the parameters become views."""
    flat = nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in parameters]))
    flat.grad = torch.zeros_like(flat)
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = flat.data[start:end].view(parameter.shape)
        parameter.grad = flat.grad[start:end].view(parameter.shape)
        start = end
    return flat


def _norm(vectors: Sequence[Tensor]) -> float:
    return math.sqrt(sum(float(torch.linalg.vector_norm(vector)) ** 2 for vector in vectors))
