"""No training prompt may stand in an evaluation: not as a whole, not nearly, not for 13 words in a row.

Compared are the prompts of all sources, the traits' included, without the sentence that says how to answer, with
- the prompts of the study's own benchmarks: equal, near (5-gram Jaccard, `scenarios.disjoint`), 13 words in a row;
- the texts of files that the user names, every string in them: equal, 13 words in a row (`scenarios.audit.overlap`).

What this does not see: a translation, a paraphrase, or the same problem with other names and numbers throughout.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit.overlap import chunks
from evenkeel.scenarios.audit.texts import Unread, files_below, texts
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.compared import Contamination, Prompts, Rule, Sources
from evenkeel.scenarios.standard.files import resolve
from evenkeel.scenarios.standard.settings import ContaminationSettings
from evenkeel.scenarios.standard.wording import without_wordings

SHOWN = 10  # findings spelt out in an error

_SAID: Mapping[Rule, str] = {
    "equal": "equals a text of",
    "near": "is nearly equal to a text of",
    "13 words": "shares 13 words with",
}


@dataclass(frozen=True)
class Checked:
    """What the comparison found, and what it was made on."""

    found: tuple[Contamination, ...]
    prompts: int
    words: int  # of the evaluations
    unread: tuple[str, ...]  # "file: why" of files that could not be compared

    def counts(self) -> dict[str, dict[str, int]]:
        """Source -> evaluation -> how many of the source's prompts stand in it."""
        found = Counter((one.source, one.evaluation) for one in self.found)
        return {
            source: {e: n for (s, e), n in sorted(found.items()) if s == source}
            for source in sorted({s for s, _ in found})
        }

    def scenarios(self) -> dict[str, set[str]]:
        """Source -> ids of its contaminated prompts."""
        ids: dict[str, set[str]] = defaultdict(set)
        for one in self.found:
            ids[one.source].add(one.scenario)
        return dict(ids)


def find_contamination(
    sources: Sources, *, benchmarks: Mapping[str, Iterable[str]] | None = None, files: Iterable[Path] = ()
) -> Checked:
    """Every (prompt, evaluation) that meet, in the order of the prompts. `benchmarks` is name -> prompts.

    `files` are single files (`evaluation_files`). Time goes with the texts: about 1.5 s for 10 MB.
    """
    prompts = Prompts(sources)
    asked = {name: [without_wordings(text) for text in held] for name, held in (benchmarks or {}).items()}
    unread = []
    for name, held in asked.items():
        prompts.look(name, held)
    for path in files:
        try:
            for chunk in chunks(texts(path)):
                prompts.look(str(path), chunk, equal=True)
        except Unread as error:
            unread.append(f"{path}: {error}")
    prompts.near(asked)
    return Checked(tuple(prompts.findings()), len(prompts.texts), prompts.words, tuple(unread))


def require_clean(
    sources: Sources,
    benchmarks: Mapping[str, Iterable[str]],
    settings: ContaminationSettings,
    *,
    folder: Path | None = None,
    own: Collection[Path] = (),
    tell: Callable[[str], None] | None = None,
) -> dict[str, tuple[Scenario, ...]]:
    """The sources themselves when nothing is contaminated; with `settings.drop`, what is left of them.

    `folder` is that of the study file, `own` are the training files (no evaluations, whatever folder they lie in);
    `tell` gets the counts of what was dropped, and the files that could not be read.
    Raises UserError listing the contaminated prompts unless they are dropped, and when a source would be left empty.
    """
    files = evaluation_files(settings, folder, own=own)
    checked = find_contamination(sources, benchmarks=benchmarks, files=files)
    if checked.found and not settings.drop:
        raise UserError(
            report(checked), fix="Drop these rows, or set drop = true in [settings.contamination]."
        )
    bad = checked.scenarios()
    kept = {name: tuple(s for s in rows if s.id not in bad.get(name, ())) for name, rows in sources.items()}
    for name, rows in kept.items():
        if sources[name] and not rows:
            problem = f'every prompt of the source "{name}" stands in an evaluation\n{report(checked)}'
            raise UserError(problem, fix="Take another source.")
    if tell:
        for note in (
            *([report(checked)] if checked.found else []),
            *(f"not read: {file}" for file in checked.unread),
        ):
            tell(note)
    return kept


def evaluation_files(
    settings: ContaminationSettings, folder: Path | None = None, *, own: Collection[Path] = ()
) -> list[Path]:
    """The files under `against`, without those of `leave_out` and the training files themselves.

    Raises UserError for a path that leads nowhere, and when nothing is left to compare with.
    """
    roots = [resolve(path, folder) for path in settings.against]
    trained = {path.resolve() for path in own}
    kept = []
    for root in roots:
        for path in files_below([root]):
            inside = path.relative_to(root).parents if root.is_dir() else ()
            spared = path.resolve() in trained or any(
                part.match(pattern) for part in (path, *inside) for pattern in settings.leave_out
            )
            if not spared:
                kept.append(path)
    if roots and not kept:
        raise UserError(
            f"no file is left under {', '.join(settings.against)}", fix="See [settings.contamination]."
        )
    return list(dict.fromkeys(kept))


def report(checked: Checked) -> str:
    """What was found in words: the first findings, and counts by source and evaluation."""
    shown = [
        f'{one.scenario} {_SAID[one.rule]} {one.evaluation}: "{one.passage}"' for one in checked.found[:SHOWN]
    ]
    more = [f"(and {len(checked.found) - SHOWN} more)"] if len(checked.found) > SHOWN else []
    counts = [
        f"{source}: {', '.join(f'{count} in {name}' for name, count in met.items())}"
        for source, met in checked.counts().items()
    ]
    bad = sum(map(len, checked.scenarios().values()))
    head = f"{bad} of {checked.prompts} training prompts stand in evaluations"
    return "\n".join([head, *shown, *more, "By source and evaluation:", *counts])
