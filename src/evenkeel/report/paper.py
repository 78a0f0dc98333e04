"""The paper's figures, quoted as the paper's (arXiv:2606.24014). They are never results of this project."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = (
    "Jagadeesh et al. 2026, Reinforcement Learning Towards Broadly and Persistently Beneficial Models, "
    "arXiv:2606.24014"
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One claim of the paper and the figures it gives for it."""

    id: str
    claim: str
    figure: str


FIGURES: tuple[Figure, ...] = (
    Figure(
        "trait_score",
        "Training on trait rewards raises the held-out trait score",
        "0.406 -> 0.607, all seven traits up",
    ),
    Figure(
        "ood",
        "The trait arm is ahead of the baseline on the out-of-distribution suite",
        "ahead on 44/53, mean +9.1 pp; after Benjamini-Hochberg 30 gains and 3 regressions significant",
    ),
    Figure(
        "health_only",
        "Training on health traits alone raises evaluations outside health",
        "ahead on 17/19 (14 significant, 1 significant regression), mean +11.3 pp; impossible coding 0.136 -> 0.400; "
        "CoT deception 0.595 -> 0.663; alignment questions 0.940 -> 0.983",
    ),
    Figure(
        "no_health_science",
        "Training without health and science raises health and mental-health evaluations",
        "similar gains to the full mix (9/10 ahead, 7 significant for the full mix)",
    ),
    Figure(
        "generic_helpfulness",
        "The same conversations rewarded for generic helpfulness bring no significant gain",
        "no significant gain on any of 10 representative evals (all q >= 0.75) where trait gains on 7",
    ),
    Figure(
        "structure",
        "Evaluations move together across models",
        "mean pairwise Spearman 0.107 (null 95% interval -0.019..0.029); "
        "first PC 28.2% of variance (null 15.3..20.8%)",
    ),
    Figure(
        "refusals",
        "The trait arm refuses more on the alignment suite",
        "13.2% -> 23.9%; ordinary chat 1.5% -> 2.7%",
    ),
    Figure(
        "neither_refuses",
        "The gain remains on pairs where neither model refuses",
        "still ahead on 19/20 (mean +0.110)",
    ),
    Figure(
        "production", "Evaluations derived from production traffic gain too", "ahead on 14/16, mean +3.6 pp"
    ),
    Figure(
        "capability",
        "Capability is kept or improves",
        "GPQA +4.7, HMMT +4.8, SWE-Bench Pro +7.1, instruction following +1.2 pp",
    ),
    Figure(
        "monitorability",
        "Monitorability is kept or improves",
        "0.740->0.907, 0.858->0.888, 0.513->0.561",
    ),
    Figure(
        "persona_medical",
        "A harmful medical persona prompt degrades the trait arm less",
        "mean of 5 evals: baseline 0.395->0.144, trait 0.455->0.336; difference in degradation 0.132 [0.052, 0.212]",
    ),
    Figure(
        "persona_wellbeing",
        "A disallowed mental-health persona prompt degrades the trait arm less",
        "baseline falls by 0.211, trait by 0.032; difference 0.178 [0.069, 0.287]",
    ),
    Figure(
        "persona_helpful",
        "A helpful persona prompt lifts both alike (steerability is kept)",
        "same lift in both: difference 0.0045, interval spans zero",
    ),
    Figure(
        "finetune_in",
        "Harmful finetuning on bad medical advice: on health evaluations the trait arm falls less",
        "pre-RL falls 0.35 / 0.30, trait 0.31 / 0.21 (0.07 less on average)",
    ),
    Figure(
        "finetune_out",
        "Harmful finetuning on bad medical advice: on broader evaluations the trait arm falls far less",
        "pre-RL falls 0.36 / 0.46 / 0.27, trait 0.08 / 0.07 / 0.16 (0.26 less on average)",
    ),
)

BY_ID = {figure.id: figure for figure in FIGURES}
