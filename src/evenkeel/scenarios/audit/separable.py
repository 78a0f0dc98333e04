"""Can a bag of words tell good replies from bad ones? Logistic regression, cross-validated with pairs kept together.

If it can, a grader or a preference model may learn the words instead of the judgement. Features are the words and
punctuation marks that a reply has (not how often), each reply scaled to length one. The fit is by the weights of
the training replies (representer theorem), which is small: n x n numbers for n replies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from evenkeel.records.streams import generator
from evenkeel.scenarios.disjoint import tokens

FOLDS = 5
RARE = 3  # a word counts when at least so many replies have it
PENALTIES = (0.01, 0.1, 1.0)  # L2; the strongest result counts, so that no choice of ours hides anything
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Separation:
    """How well the classifier does on replies that it was not fitted to."""

    accuracy: float  # share of single replies put on the right side
    picked: float  # share of pairs in which the good reply gets the higher score (ties count half)
    good_words: tuple[str, ...]  # the words that speak most for a good reply, fitted to all pairs
    bad_words: tuple[str, ...]


def told_apart(pairs: Sequence[tuple[str, str]]) -> Separation:
    """The separation of (good, bad) reply pairs; .5 is chance. Equal pairs give equal numbers, in any order."""
    pairs = sorted(pairs)
    x_NV, vocabulary = _features([text for pair in pairs for text in pair])
    kernel_NN = x_NV @ x_NV.T
    y_N = np.tile([1.0, -1.0], len(pairs))
    fold_P = generator("audit", "folds").permutation(len(pairs)) % min(FOLDS, len(pairs))
    fold_N = np.repeat(fold_P, 2)
    results = []
    for penalty in PENALTIES:
        score_N = np.zeros(len(y_N))
        for fold in range(fold_P.max() + 1):
            inside, outside = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
            if len(inside):
                alpha = _fit(kernel_NN[np.ix_(inside, inside)], y_N[inside], penalty)
                score_N[outside] = kernel_NN[np.ix_(outside, inside)] @ alpha
        right_N = np.where(score_N == 0, 0.5, score_N * y_N > 0)
        gap_P = score_N[0::2] - score_N[1::2]
        picked = float(np.where(gap_P == 0, 0.5, gap_P > 0).mean())
        results.append((float(right_N.mean()), picked, penalty))
    accuracy, picked, penalty = max(results)
    weight_V = x_NV.T @ _fit(kernel_NN, y_N, penalty)
    order = np.argsort(weight_V)
    words = [vocabulary[place] for place in order]
    return Separation(accuracy, picked, tuple(words[: -SHOWN - 1 : -1]), tuple(words[:SHOWN]))


def _features(texts: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Presence of each word that is not rare, rows of length one, and the words."""
    sets = [set(tokens(text)) for text in texts]
    count = Counter(word for words in sets for word in words)
    vocabulary = sorted(word for word, times in count.items() if times >= RARE)
    place = {word: position for position, word in enumerate(vocabulary)}
    x_NV = np.zeros((len(texts), len(vocabulary)))
    for row, words in enumerate(sets):
        x_NV[row, [place[word] for word in words if word in place]] = 1.0
    return x_NV / np.maximum(np.sqrt(x_NV.sum(axis=1, keepdims=True)), 1.0), vocabulary


def _fit(kernel_NN: np.ndarray, y_N: np.ndarray, penalty: float) -> np.ndarray:
    """Weights of the training replies that minimise logistic loss + penalty/2 |w|^2 with w = X^T alpha."""

    def loss(alpha_N: np.ndarray) -> tuple[float, np.ndarray]:
        score_N = kernel_NN @ alpha_N
        margin_N = y_N * score_N
        value = np.logaddexp(0.0, -margin_N).sum() + penalty / 2 * (alpha_N @ score_N)
        slope_N = -y_N / (1.0 + np.exp(np.clip(margin_N, -500, 500)))
        return value, kernel_NN @ (slope_N + penalty * alpha_N)

    return minimize(loss, np.zeros(len(y_N)), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
