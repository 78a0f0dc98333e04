"""Every dial of a reinforcement-learning run. What is not here is derived, and printed by the preflight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evenkeel.records.errors import UserError
from evenkeel.training.advantages import Scale
from evenkeel.training.algorithms import Algorithm, algorithm_named


@dataclass(frozen=True, slots=True)
class RLConfig:
    """On-policy training: `steps` x `prompts` x `group` replies, one pass of `minibatches` updates over each
    step.

    `learning_rate` is constant. `temperature` shapes the samples only (log-probabilities stay the policy's
    own), so values other than 1 make the gradient an approximation. `scale` of the advantages: "published"
    takes the algorithm's own. `kl` needs a reference policy. Raises UserError naming the field that is out of
    range.
    """

    steps: int
    prompts: int
    group: int
    learning_rate: float
    algorithm: str = "dr_grpo"
    scale: Scale | Literal["published"] = "centred"
    kl: float = 0.0
    temperature: float = 1.0
    minibatches: int = 1
    checkpoint_every: int = 20
    max_tokens: int = 64  # cap on reply tokens; a scenario may ask for less

    def __post_init__(self) -> None:
        for name in ("steps", "prompts", "minibatches", "checkpoint_every", "max_tokens"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} = {getattr(self, name)} must be at least 1")
        if self.group < 2:
            raise UserError(
                f"group = {self.group}: a single reply has nothing to be compared with", fix="Use 8."
            )
        if self.minibatches > self.prompts:
            raise UserError(f"minibatches = {self.minibatches} cannot exceed prompts = {self.prompts}")
        if self.learning_rate <= 0 or self.kl < 0 or self.temperature <= 0:
            raise UserError("learning_rate and temperature must be above 0, kl at least 0")
        if self.scale not in ("centred", "standardised", "published"):
            raise UserError(f'scale = "{self.scale}" must be centred, standardised or published')
        algorithm_named(self.algorithm)

    @property
    def row(self) -> Algorithm:
        """The algorithm's row."""
        return algorithm_named(self.algorithm)

    @property
    def advantage_scale(self) -> Scale:
        """What `scale` comes to."""
        return self.row.scale if self.scale == "published" else self.scale
