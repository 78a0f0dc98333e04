"""The key-value cache of one sampling batch: rows with the same prompt sit in one bin and share its keys.

A bin holds one prompt and up to BIN rows ("slots"). Its columns are the prompt's, ending at a common column, and
then one for every slot at every step: slot g's key of step t is at width + t x slots + g. One product of all the
bin's queries with all its keys, other slots' masked away, reads every key once; a product for every row would
read the prompt once a row, and at these sizes cost three to six times as much on CPU.

Everything outside attention runs on the rows alive (_A) only; bins are regrouped when enough slots are empty.
Shape suffixes: _Q bins, _G slots, _S columns, _K key heads, _E head dimension, _N packed prompt tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evenkeel.engines.native.model import Transformer, attention

BIN = 8
REGROUP = 0.75  # regroup rows once a step would cost so much less


class Cache:
    """Preallocated keys and values, [Q, K, S, E] a layer, and where each living row sits."""

    def __init__(
        self, model: Transformer, bin_lengths_Q: Tensor, slot_A: Tensor, slots: int, room: int
    ) -> None:
        """`bin_lengths_Q` prompt lengths; `slot_A` = bin x slots + slot of each row; `room` steps at most."""
        config = model.config
        self.slots, self.width, self.room, self.steps = slots, int(bin_lengths_Q.max()), room, 0
        self.bins, self.slot_A = len(bin_lengths_Q), slot_A
        self.position_A = bin_lengths_Q[slot_A // slots]
        self.shared = config.heads // config.kv_heads  # query heads a key head serves
        shape = (self.bins, config.kv_heads, self.width + room * slots, config.head_dim)
        self.keys = [torch.empty(shape) for _ in model.blocks]
        self.values = [torch.empty(shape) for _ in model.blocks]
        self.heads, self.key_heads, self.size = config.heads, config.kv_heads, config.head_dim
        self.hidden_QP = torch.arange(self.width) < (self.width - bin_lengths_Q)[:, None]
        self.scale = config.head_dim**-0.5
        self._settle()

    @property
    def places(self) -> int:
        """Tokens there is room for, empty slots included."""
        return self.bins * (self.width + self.room * self.slots)

    def _settle(self) -> None:
        """Whether rows fill the grid in order; and bias_Q1GS, -inf on columns that are not a slot's to see.

        One bin's bias serves all when no prompt is shorter than another.
        """
        self.settled = len(self.slot_A)
        self.full = torch.equal(self.slot_A, torch.arange(self.bins * self.slots))
        # Zeros, not empty memory: a masked column is multiplied by 0, which would keep a NaN.
        places = self.bins * self.slots
        self.grids = {heads: torch.zeros(places, heads, self.size) for heads in {self.heads, self.key_heads}}
        other_GG = ~torch.eye(self.slots, dtype=torch.bool)
        prompt_QP = self.hidden_QP if bool(self.hidden_QP.any()) else self.hidden_QP[:1]
        prompt_QGP = prompt_QP[:, None].expand(-1, self.slots, -1)
        own_QGX = other_GG.repeat(1, self.room).expand(len(prompt_QP), -1, -1)
        blocked_QGS = torch.cat((prompt_QGP, own_QGX), dim=-1).repeat_interleave(self.shared, dim=1)
        self.bias_Q1GS = torch.zeros(blocked_QGS.shape).masked_fill_(blocked_QGS, -torch.inf)[:, None]

    def attended(self, number: int, q_AHE: Tensor, k_AKE: Tensor, v_AKE: Tensor) -> Tensor:
        """attended_AX of the rows alive in layer `number`, after their new keys and values have taken their columns."""
        start = self.width + self.steps * self.slots
        end = start + self.slots
        keys, values = self.keys[number], self.values[number]
        keys[:, :, start:end] = self._grid(k_AKE)
        values[:, :, start:end] = self._grid(v_AKE)
        bias_Q1GS = self.bias_Q1GS[..., :end]
        return self._rows(self._attend(self._grid(q_AHE), keys[:, :, :end], values[:, :, :end], bias_Q1GS))

    def advance(self) -> None:
        """All layers have attended: the next token takes the next columns."""
        self.steps += 1
        self.position_A = self.position_A + 1

    def _attend(self, q_QHGE: Tensor, k_QKSE: Tensor, v_QKSE: Tensor, bias_Q1GS: Tensor) -> Tensor:
        """attended_QKGE, where G counts slots x query heads of a key head."""
        bins, key_heads, columns, size = k_QKSE.shape
        # [Q, K x shared, G, E] -> [Q, K, G x shared, E]: the queries that use one key head are its rows.
        q = q_QHGE.unflatten(1, (key_heads, self.shared)).transpose(2, 3).reshape(bins * key_heads, -1, size)
        scores = torch.bmm(q, k_QKSE.flatten(0, 1).transpose(1, 2)).view(bins, key_heads, -1, columns)
        weights = torch.add(bias_Q1GS, scores, alpha=self.scale).softmax(-1).flatten(0, 1)
        return torch.bmm(weights, v_QKSE.flatten(0, 1)).view(bins, key_heads, -1, size)

    def _grid(self, x_AHE: Tensor) -> Tensor:
        """[Q, H, G, E] of the rows' [A, H, E], valid until the next call; empty slots hold something finite."""
        if not self.full:
            x_AHE = self.grids[x_AHE.shape[1]].index_copy_(0, self.slot_A, x_AHE)
        return x_AHE.unflatten(0, (self.bins, self.slots)).transpose(1, 2)

    def _rows(self, x_QKGE: Tensor) -> Tensor:
        """[A, H x E] of a grid's [Q, K, G x shared, E]."""
        bins, heads, _, size = x_QKGE.shape
        grid = (
            x_QKGE.view(bins, heads, self.slots, self.shared, size)
            .transpose(1, 2)
            .reshape(bins * self.slots, heads * self.shared * size)
        )
        return grid if self.full else grid.index_select(0, self.slot_A)

    def keep(self, going_A: Tensor) -> None:
        """Let the other rows go; regroup the rest when that makes the coming steps enough cheaper."""
        self.slot_A, self.position_A, self.full = self.slot_A[going_A], self.position_A[going_A], False
        if len(self.slot_A) > REGROUP * self.settled:  # too few have left to be worth a look
            return
        count_Q = torch.bincount(self.slot_A // self.slots, minlength=self.bins)
        largest = int(count_Q.max())
        options = {size for size in (1, 2, 4, largest) if size <= largest}
        costs = {size: self._cost(int(((count_Q + size - 1) // size).sum()), size) for size in options}
        slots = min(costs, key=lambda size: (costs[size], size))
        if costs[slots] <= REGROUP * self._cost(self.bins, self.slots):
            self._regroup(count_Q, slots)

    def _cost(self, bins: int, slots: int) -> int:
        """Relative time of the next step's attention; 16 and 1 were fitted to torch.bmm at sizes 1 to 8."""
        return bins * (self.width + slots * (self.steps + 1)) * (16 + slots)

    def _regroup(self, count_Q: Tensor, slots: int) -> None:
        """Move the living rows to bins of `slots`: empty bins go, and a fuller one is split, its prompt copied."""
        bin_A = self.slot_A // self.slots
        order_A = bin_A.argsort(stable=True)
        rank_A = torch.empty_like(bin_A)  # among the living rows of its bin
        rank_A[order_A] = torch.arange(len(bin_A)) - (count_Q.cumsum(0) - count_Q)[bin_A[order_A]]
        parts_Q = (count_Q + slots - 1) // slots
        first_Q = parts_Q.cumsum(0) - parts_Q
        new_slot_A = (first_Q[bin_A] + rank_A // slots) * slots + rank_A % slots
        source_Q = torch.repeat_interleave(torch.arange(self.bins), parts_Q)
        source_QG = torch.zeros(len(source_Q) * slots, dtype=torch.long)
        source_QG[new_slot_A] = self.slot_A % self.slots
        source_QG = source_QG.view(-1, slots)
        self.keys = [self._moved(part, source_Q, source_QG) for part in self.keys]
        self.values = [self._moved(part, source_Q, source_QG) for part in self.values]
        self.hidden_QP = self.hidden_QP[source_Q]
        self.bins, self.slots, self.slot_A = len(source_Q), slots, new_slot_A
        self._settle()

    def _moved(self, part_QKSE: Tensor, source_Q: Tensor, source_QG: Tensor) -> Tensor:
        """One layer's keys or values in another grid."""
        slots = source_QG.shape[1]
        _, heads, _, size = part_QKSE.shape
        new = part_QKSE.new_empty(len(source_Q), heads, self.width + self.room * slots, size)
        new[:, :, : self.width] = part_QKSE[source_Q, :, : self.width]
        used = part_QKSE[:, :, self.width : self.width + self.steps * self.slots]
        own = used.unflatten(2, (self.steps, self.slots))[
            source_Q[:, None], :, :, source_QG
        ]  # [Q, G, K, T, E]
        new[:, :, self.width : self.width + self.steps * slots] = own.permute(0, 2, 3, 1, 4).flatten(2, 3)
        return new


def step(model: Transformer, caches: Sequence[Cache], token_A: Tensor) -> Tensor:
    """Add one token to every living row of these caches, one cache's rows after another's; returns logits_AV after it.

    Only attention knows of caches: every matrix of the model is read once for all of them.
    """
    rows = [len(cache.slot_A) for cache in caches]
    x_AD, turn_A1E = model.embed(token_A), model.turns(joined([cache.position_A for cache in caches]))
    for number, layer in enumerate(model.blocks):
        parts = (part.split(rows) for part in layer.queries_keys_values(x_AD, turn_A1E))
        attended = [cache.attended(number, *qkv) for cache, *qkv in zip(caches, *parts, strict=True)]
        x_AD = layer.finish(x_AD, joined(attended))
    for cache in caches:
        cache.advance()
    return model.logits(x_AD)


def joined(parts: Sequence[Tensor]) -> Tensor:
    """Rows of several caches, one after another."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def prefill(model: Transformer, prompt_of_A: Sequence[tuple[int, ...]], room: int) -> tuple[Cache, Tensor]:
    """The cache of these rows, each distinct prompt computed once, and logits_AV after their prompts."""
    prompts: dict[tuple[int, ...], int] = {}
    index_A = [prompts.setdefault(prompt, len(prompts)) for prompt in prompt_of_A]
    length_P = torch.tensor([len(prompt) for prompt in prompts])
    prompt_of_Q, slot_A, slots = _bins(index_A)
    cache = Cache(model, length_P[prompt_of_Q], slot_A, slots, room)
    place_T = torch.arange(cache.width)
    real_PT = place_T < length_P[:, None]
    start_P1 = (length_P.cumsum(0) - length_P)[:, None]
    padded_PT = start_P1 + torch.minimum(place_T, length_P[:, None] - 1)  # packed token at each place
    ending_PT = start_P1 + (place_T - (cache.width - length_P)[:, None]).clamp_(min=0)
    x_ND = model.embed(torch.tensor([token for prompt in prompts for token in prompt]))
    turn_N1E = model.turns(place_T.expand_as(real_PT)[real_PT])
    last_P = start_P1[:, 0] + length_P - 1
    for number, layer in enumerate(model.blocks):
        q_NHE, k_NKE, v_NKE = layer.queries_keys_values(x_ND, turn_N1E)
        for target, part in ((cache.keys[number], k_NKE), (cache.values[number], v_NKE)):
            target[:, :, : cache.width] = part[ending_PT[prompt_of_Q]].transpose(1, 2)
        q, k, v = (part[padded_PT].transpose(1, 2) for part in (q_NHE, k_NKE, v_NKE))
        attended_PTX = attention(q, k, v, causal=True).transpose(1, 2).flatten(2)
        if number < len(model.blocks) - 1:
            x_ND = layer.finish(x_ND, attended_PTX[real_PT])
        else:  # only the last token's logits are wanted
            x_ND = layer.finish(x_ND[last_P], attended_PTX[torch.arange(len(prompts)), length_P - 1])
    return cache, model.logits(x_ND)[torch.tensor(index_A)]


def _bins(index_A: Sequence[int]) -> tuple[Tensor, Tensor, int]:
    """(prompt of each bin, bin x slots + slot of each row, slots a bin): bins of at most BIN rows of one prompt."""
    seen: dict[int, int] = {}
    bins: dict[tuple[int, int], int] = {}
    places: list[tuple[int, int]] = []
    for prompt in index_A:
        number = seen[prompt] = seen.get(prompt, -1) + 1
        places.append((bins.setdefault((prompt, number // BIN), len(bins)), number % BIN))
    slots = 1 + max(slot for _, slot in places)
    slot_A = torch.tensor([bin_number * slots + slot for bin_number, slot in places])
    return torch.tensor([prompt for prompt, _ in bins]), slot_A, slots
