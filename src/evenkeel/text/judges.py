"""Who judges what in a text study: rubrics by a judge model, open prompts for helpfulness, checked tasks by code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from evenkeel.engines.interface import Renderer
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.grading.grader import Grader, GradeRequest, again
from evenkeel.grading.health import turned
from evenkeel.grading.judge_cache import Role
from evenkeel.grading.judge_process import JudgeProcess
from evenkeel.grading.judge_session import JudgeSession
from evenkeel.grading.judge_settings import JudgeSettings
from evenkeel.grading.self_judge import SelfJudge, self_judge_config
from evenkeel.records.canonical import content_hash
from evenkeel.records.types import Outcome
from evenkeel.scenarios.scenario import Scenario
from evenkeel.study.materials import checkpoint_hash

FOLDER, ANSWERS = "judges", "answers.sqlite"  # of a run: what judges have answered, and what it cost
RUBRIC = "rubric"  # how a scenario without facts["check"] is judged: by its own criteria
JUDGED = (RUBRIC, "helpfulness")  # by a judge model; everything else is checked by code


def check_of(scenario: Scenario) -> str:
    """How a reply to this scenario is judged: "rubric", "helpfulness", or the name of a check."""
    return str(scenario.facts.get("check", RUBRIC))


class ByCheck:
    """Sends every scenario to the grader of its kind; `checked` takes what is neither rubric nor helpfulness."""

    def __init__(self, rubric: Grader, helpfulness: Grader, checked: Grader) -> None:
        self._by_kind: Mapping[str, Grader] = {RUBRIC: rubric, "helpfulness": helpfulness}
        self._checked = checked

    @property
    def name(self) -> str:
        """The judge's name: the checks are the same everywhere."""
        return self._by_kind[RUBRIC].name

    @property
    def version(self) -> str:
        """Changes whenever one of the three does."""
        parts = (*self._by_kind.values(), self._checked)
        return f"{self._by_kind[RUBRIC].version} {content_hash([[p.name, p.version] for p in parts], 8)}"

    def of(self, scenario: Scenario) -> Grader:
        """The grader of one scenario."""
        return self._by_kind.get(check_of(scenario), self._checked)

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """Those of the scenario's grader."""
        return self.of(scenario).criteria(scenario)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """Those of the scenario's grader."""
        return self.of(scenario).points(scenario)

    def again(self, number: int = 1) -> ByCheck:
        """A second, independent opinion where judging has chance in it."""
        rubric, helpfulness = (again(self._by_kind[kind], number) for kind in (RUBRIC, "helpfulness"))
        return ByCheck(rubric, helpfulness, self._checked)

    def turned(self) -> ByCheck:
        """Whoever has a rubric of its own asks by it the other way round."""
        return ByCheck(self._by_kind[RUBRIC], turned(self._by_kind["helpfulness"]), self._checked)

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """Outcomes kind by kind, each as it is ready."""
        kinds = {id(self.of(request.scenario)): self.of(request.scenario) for request in requests}
        for key, grader in kinds.items():
            mine = [request for request in requests if id(self.of(request.scenario)) == key]
            async for answered in grader.grade(mine):
                yield answered


def session(
    settings: JudgeSettings, role: Role, run: Path, base: Path, renderer: Renderer
) -> JudgeSession | JudgeProcess:
    """A judge of the study with the answers it has given in this run. Raises UserError when its key is not there."""
    config, answers = settings.config(role), run / FOLDER / ANSWERS
    if settings.kind != "policy":
        return JudgeProcess(config, answers)  # asking somebody else takes nothing from sampling

    def frozen() -> NativeEngine:
        return NativeEngine.from_pretrained(base, stop_tokens=renderer.stop_tokens)

    named = self_judge_config(config, checkpoint_hash(base))
    return JudgeSession(named, answers, asks=lambda: SelfJudge(frozen, renderer))


def booked_by(
    sessions: Sequence[JudgeSession | JudgeProcess],
) -> Callable[[Path, str], AbstractContextManager[None]]:
    """Books what the judges are asked meanwhile under a stage's name, in RUN/judges/STAGE.json."""

    @contextmanager
    def booked(run: Path, stage: str) -> Iterator[None]:
        with ExitStack() as stack:
            for one in sessions:
                stack.enter_context(one.booked(stage, run / FOLDER / f"{stage}.json"))
            yield

    return booked
