"""Reply pairs: the good reply earns clearly more, and neither length nor words give it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from evenkeel.scenarios.audit.found import Data, Found, Measure, Table, at
from evenkeel.scenarios.audit.separable import told_apart
from evenkeel.scenarios.disjoint import tokens
from evenkeel.scenarios.rows import reply_score

SHOWN = 10  # words of each side


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    pairs = [placed for placed in data.rows if placed.row.replies]
    if not pairs:
        return
    longer = 0
    for placed in pairs:
        good, bad = placed.row.replies
        earned, lost = reply_score(placed.row, good.meets), reply_score(placed.row, bad.meets)
        if not data.limits["pair_gap"].holds(round(earned - lost, 9)):
            problem = (
                f"the good reply earns {earned:.2f} and the bad one {lost:.2f}: {earned - lost:.2f} apart"
            )
            yield at(placed, "pair_gap", problem, data.limits["pair_gap"].fix)
        if not data.limits["pair_good"].holds(round(earned, 9)):
            problem = f"the good reply earns only {earned:.2f}"
            yield at(placed, "pair_good", problem, data.limits["pair_good"].fix)
        words = [len(reply.text.split()) for reply in (good, bad)]
        longer += words[0] > words[1]
        ratio = max(words) / max(1, min(words))
        if not data.limits["pair_length"].holds(ratio):
            problem = f"the replies have {words[0]} words (good) and {words[1]} (bad)"
            yield at(placed, "pair_length", problem, data.limits["pair_length"].fix)
    yield Measure("longer_good", longer / len(pairs), len(pairs))
    texts = [(good.text, bad.text) for good, bad in (p.row.replies for p in pairs)]
    result = told_apart(texts)
    hint = (
        f"Of two replies it picks the good one in {100 * result.picked:.0f} % of pairs. Words of the good: "
        f"{', '.join(result.good_words)}; of the bad: {', '.join(result.bad_words)}."
    )
    yield Measure("told_apart", result.accuracy, len(pairs), hint=hint)
    yield _words(texts)


def _words(texts: list[tuple[str, str]]) -> Table:
    """The words that stand in many more good replies than bad ones, and the other way round."""
    good = Counter(word for pair in texts for word in set(tokens(pair[0])))
    bad = Counter(word for pair in texts for word in set(tokens(pair[1])))
    order = sorted(good.keys() | bad.keys(), key=lambda word: (bad[word] - good[word], word))
    rows = [(f'"{word}"', str(good[word]), str(bad[word])) for word in order[:SHOWN] + order[-SHOWN:]]
    return Table("Words that tell replies apart", ("", "good replies", "bad replies"), tuple(rows))
