"""The numbers that decide between green, amber and red: one table, printed by the preflight, used nowhere
else twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Light = Literal["green", "amber", "red"]


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a number turns amber and red, what it is, and the setting to change when it does."""

    amber: float
    red: float
    text: str
    setting: str

    @property
    def low_is_bad(self) -> bool:
        """Whether the number must stay above its limits instead of below."""
        return self.red < self.amber

    def light(self, value: float | None) -> Light:
        """The colour of a value: beyond `red` is red, beyond `amber` amber; None (not measurable) is green."""
        if value is None:
            return "green"
        sign = -1 if self.low_is_bad else 1
        if not sign * value <= sign * self.red:  # written so that NaN is red
            return "red"
        return "amber" if sign * value > sign * self.amber else "green"


LIMITS: Mapping[str, Limit] = {
    "truncated": Limit(0.05, 0.20, "truncated replies of the base", "max_tokens (raise it)"),
    "dead_groups": Limit(
        0.40, 0.80, "groups at ceiling or floor on the base", "the source's difficulty or rubric, or group"
    ),
    "spread_over_noise": Limit(
        2.0, 1.0, "spread inside groups / grader's test-retest noise", "the grader (its noise) or temperature"
    ),
    "unscorable": Limit(0.01, 0.05, "unscorable replies", "the grader"),
    "draws_per_scenario": Limit(
        4, 10, "draws per scenario over the run", "the number of scenarios, or steps"
    ),
    "sampler_vs_trainer": Limit(1e-3, 1e-2, "sampler vs trainer log-probability, mean abs", "the engine"),
    "persona_gap_main": Limit(
        0.5, 0.3, "median persona gap over formats, main base", "the base (train it longer)"
    ),
    "persona_gap_control": Limit(0.1, 0.2, "median persona gap over formats, control", "the control base"),
}
