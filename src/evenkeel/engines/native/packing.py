"""Training rows without padding, and with every prompt of a group computed once: G (P + R) -> P + G R tokens.

A row's prompt is split before its last token. The *prefix* (all but the last) is shared by the rows that have
it and needs no logits. The row's own inputs are the last prompt token and the completion without its final
token: one input for every completion token that is predicted. Extra shape suffixes: _N packed tokens
(prefixes first), _Q prefixes, _P places in a prefix, _M completion inputs, _S keys a row sees (its prefix,
then its own).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from evenkeel.engines.native.model import Layer, Transformer, attention
from evenkeel.records.types import TrainSequence


@dataclass(frozen=True, slots=True)
class Packed:
    """One micro-batch: its tokens, and the packed index of every place (pads repeat a token)."""

    rows: tuple[int, ...]  # places in the caller's batch, in this micro-batch's order
    tokens_N: Tensor
    positions_N: Tensor
    prefix_tokens: int  # of the N; the completion inputs follow
    prefix_QP: Tensor
    prefix_places: Tensor  # flat places of the real tokens in prefix_QP
    own_BT: Tensor
    own_places_M: Tensor  # flat places of the real tokens in own_BT
    keys_BS: Tensor
    bias_B1TS: Tensor  # 0 where a completion input may look, else -inf
    targets_M: Tensor


def micro_batches(batch: Sequence[TrainSequence], rows: Sequence[int], budget: int) -> list[list[int]]:
    """Lists of rows of at most `budget` packed tokens (or one row), equal prompts together."""
    order = sorted(rows, key=lambda b: (len(batch[b].prompt), batch[b].prompt, len(batch[b].completion), b))
    groups: list[list[int]] = []
    prefix: tuple[int, ...] | None = None
    room = 0
    for b in order:
        row = batch[b]
        cost = len(row.completion) + (0 if row.prompt == prefix else len(row.prompt) - 1)
        if not groups or cost > room:
            groups.append([])
            room, cost = budget, len(row.completion) + len(row.prompt) - 1
        groups[-1].append(b)
        room, prefix = room - cost, row.prompt
    return groups


def pack(batch: Sequence[TrainSequence], rows: Sequence[int]) -> Packed:
    """Pack the named rows. Raises ValueError for an empty prompt or completion."""
    chosen = [batch[b] for b in rows]
    if any(not row.prompt or not row.completion for row in chosen):
        raise ValueError("a training row needs at least one prompt token and one completion token")
    prefixes: dict[tuple[int, ...], int] = {}
    prefix_of_B = np.array([prefixes.setdefault(row.prompt[:-1], len(prefixes)) for row in chosen])
    prefix_lengths_Q = np.array([len(prefix) for prefix in prefixes])
    own_lengths_B = np.array([len(row.completion) for row in chosen])
    prefix_tokens = int(prefix_lengths_Q.sum())
    prefix_starts_Q = np.cumsum(prefix_lengths_Q) - prefix_lengths_Q
    own_starts_B = prefix_tokens + np.cumsum(own_lengths_B) - own_lengths_B
    seen_lengths_B = prefix_lengths_Q[prefix_of_B]
    prefix_QP, prefix_real_QP = _places(prefix_starts_Q, prefix_lengths_Q)
    own_BT, own_real_BT = _places(own_starts_B, own_lengths_B)
    seen_BP, seen_real_BP = prefix_QP[prefix_of_B], prefix_real_QP[prefix_of_B]
    positions_QP = np.broadcast_to(np.arange(prefix_QP.shape[1]), prefix_QP.shape)
    positions_BT = seen_lengths_B[:, None] + np.arange(own_BT.shape[1])
    tokens = [token for prefix in prefixes for token in prefix]
    for row in chosen:
        tokens.extend((row.prompt[-1], *row.completion[:-1]))
    positions_N = np.concatenate((positions_QP[prefix_real_QP], positions_BT[own_real_BT]))
    return Packed(
        rows=tuple(rows),
        tokens_N=torch.tensor(tokens),
        positions_N=torch.from_numpy(positions_N),
        prefix_tokens=prefix_tokens,
        prefix_QP=torch.from_numpy(prefix_QP),
        prefix_places=torch.from_numpy(np.flatnonzero(prefix_real_QP)),
        own_BT=torch.from_numpy(own_BT - prefix_tokens),
        own_places_M=torch.from_numpy(np.flatnonzero(own_real_BT)),
        keys_BS=torch.from_numpy(np.concatenate((seen_BP, own_BT), axis=1)),
        bias_B1TS=_bias(seen_real_BP, own_BT.shape[1]),
        targets_M=torch.tensor([token for row in chosen for token in row.completion]),
    )


def completion_states(model: Transformer, packed: Packed) -> Tensor:
    """x_MD: the stream after the last layer at every completion input, in packed order."""
    x_ND, turn_N1E = model.embed(packed.tokens_N), model.turns(packed.positions_N)
    *lower, last = model.blocks
    for layer in lower:
        q_NHE, k_NKE, v_NKE = layer.queries_keys_values(x_ND, turn_N1E)
        q_prefix, q_own = _split(q_NHE, packed)
        (k_prefix, k_own), (v_prefix, v_own) = _seen(k_NKE, packed), _seen(v_NKE, packed)
        attended = _attend_own(q_own, k_own, v_own, packed)
        if packed.prefix_tokens:
            attended = torch.cat((_attend_prefix(q_prefix, k_prefix, v_prefix, packed), attended))
        x_ND = layer.finish(x_ND, attended)
    return _last_layer(last, x_ND, turn_N1E, packed)


def _last_layer(layer: Layer, x_ND: Tensor, turn_N1E: Tensor, packed: Packed) -> Tensor:
    """The last layer for the completion inputs; prefixes give it their keys and values and no more."""
    x_prefix, x_own = _split(x_ND, packed)
    turn_prefix, turn_own = _split(turn_N1E, packed)
    q_MHE, k_NKE, v_NKE = layer.queries_keys_values(x_own, turn_own)
    if packed.prefix_tokens:
        k_prefix, v_prefix = layer.keys_values(x_prefix, turn_prefix)
        k_NKE, v_NKE = torch.cat((k_prefix, k_NKE)), torch.cat((v_prefix, v_NKE))
    k_BSKE, v_BSKE = take(k_NKE, packed.keys_BS), take(v_NKE, packed.keys_BS)
    return layer.finish(x_own, _attend_own(q_MHE, k_BSKE, v_BSKE, packed))


def _split(x_N: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
    """The prefixes' part and the completion inputs' part."""
    prefix, own = x_N.split((packed.prefix_tokens, len(x_N) - packed.prefix_tokens))
    return prefix, own


def _seen(x_NKE: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
    """Keys or values by row: [Q, P, K, E] for the prefixes, [B, S, K, E] for the completions (one lookup)."""
    index = torch.cat((packed.prefix_QP.flatten(), packed.keys_BS.flatten()))
    prefix, own = take(x_NKE, index).split((packed.prefix_QP.numel(), packed.keys_BS.numel()))
    return prefix.unflatten(0, packed.prefix_QP.shape), own.unflatten(0, packed.keys_BS.shape)


def _attend_prefix(q_NHE: Tensor, k_QPKE: Tensor, v_QPKE: Tensor, packed: Packed) -> Tensor:
    """Causal attention inside every prefix. Right padding keeps pads out of sight of real tokens."""
    q, k, v = (part.transpose(1, 2) for part in (take(q_NHE, packed.prefix_QP), k_QPKE, v_QPKE))
    attended_QPHE = attention(q, k, v, causal=True).transpose(1, 2)
    return take(attended_QPHE.flatten(0, 1), packed.prefix_places).flatten(1)


def _attend_own(q_MHE: Tensor, k_BSKE: Tensor, v_BSKE: Tensor, packed: Packed) -> Tensor:
    """Attention of the completion inputs to their prefix and to themselves."""
    q, k, v = (part.transpose(1, 2) for part in (take(q_MHE, packed.own_BT), k_BSKE, v_BSKE))
    attended_BTHE = attention(q, k, v, mask=packed.bias_B1TS).transpose(1, 2)
    return take(attended_BTHE.flatten(0, 1), packed.own_places_M).flatten(1)


def take(x_NHE: Tensor, index: Tensor) -> Tensor:
    """x[index] along the first dimension, as an embedding lookup: that has the fast scatter-add on CPU."""
    return F.embedding(index, x_NHE.flatten(1)).unflatten(-1, x_NHE.shape[1:])


def _places(starts_R: np.ndarray, lengths_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Packed index of every place of right-padded rows (pads repeat the last token), and which are real."""
    place_T = np.arange(lengths_R.max(initial=0))
    real_RT = place_T < lengths_R[:, None]
    index_RT = starts_R[:, None] + np.minimum(place_T, np.maximum(lengths_R - 1, 0)[:, None])
    return index_RT, real_RT


def _bias(seen_real_BP: np.ndarray, length: int) -> Tensor:
    """Additive mask: a row sees its whole prefix, and its own inputs up to the present one."""
    batch, prefix = seen_real_BP.shape
    allowed_BTS = np.ones((batch, length, prefix + length), dtype=bool)
    allowed_BTS[:, :, :prefix] = seen_real_BP[:, None]
    allowed_BTS[:, :, prefix:] = np.tri(length, dtype=bool)
    bias = torch.zeros(batch, 1, length, prefix + length)
    return bias.masked_fill_(torch.from_numpy(~allowed_BTS)[:, None], -torch.inf)
