"""The stage that asks how far a judge could be trusted: replies of a training run, judged again and by another judge."""

from __future__ import annotations

import asyncio

from evenkeel.grading.grader import again
from evenkeel.grading.health import FILE, Judges, measure
from evenkeel.records.canonical import canonical_json
from evenkeel.records.files import read_rows, write_text
from evenkeel.study.stages import Task
from evenkeel.study.work import aggregate_how_of, materials_of, tools_of


def judge_health(task: Task) -> None:
    """judge_health.jsonl: a row a judgement, of every source that a judge model rewards (see `grading.health`)."""
    materials, tools = materials_of(task), tools_of(task)
    assert tools.judge is not None, "a study with judges has a held-out one"
    panels = {
        source: Judges(grader, again(grader), tools.judge, again(tools.judge))
        for source, grader in tools.graders.items()
        if again(grader) is not grader  # otherwise checked by a program: nothing to doubt
    }
    shards = sorted(task.needs["train"].glob("completions-*.jsonl.gz"))
    rows = [row for shard in shards for row in read_rows(shard)]
    with tools.booked(task.run, task.folder.name):
        found = asyncio.run(
            measure(
                rows,
                materials.sources,
                panels,
                seed=task.inputs["seed"],
                answer=tools.answer,
                aggregate_how=aggregate_how_of(materials),
                **materials.health,
            )
        )
    write_text(task.folder / FILE, "".join(canonical_json(row) + "\n" for row in found))
