"""What the sandbox says of a program: passed, failed and why, or no verdict where the test itself cannot run."""

from __future__ import annotations

import asyncio

import pytest

from evenkeel.grading.sandbox import SandboxFailed
from evenkeel.grading.unit_tests import CHECKER, check_unit_tests
from evenkeel.records.types import Unscorable
from sandbox_programs import HONEST, PROGRAM, SETUP
from sandbox_trials import needs_sandbox, statuses, tried

# --- honest programs


@needs_sandbox
def test_what_honest_programs_do_works_across_the_border():
    trials = tried(PROGRAM, list(HONEST.values()), SETUP)
    wrong = {name: trial for name, trial in zip(HONEST, trials, strict=True) if trial.status != "passed"}
    assert not wrong


@needs_sandbox
def test_each_test_meets_the_program_afresh():
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    assert statuses(program, ["assert f(1) == 1\nassert f(2) == 2", "assert f(3) == 1"]) == [
        "passed",
        "passed",
    ]


@needs_sandbox
def test_a_wrong_program_fails_with_a_reason():
    first, second, third = tried(
        "def f(x):\n    print('got', x)\n    return x", ["assert f(1) == 2", "assert f(1) == 1", "g()"]
    )
    assert (first.status, first.output) == ("failed", "got 1\n") and second.status == "passed"
    assert "'g' is not defined" in third.detail
    assert tried("def f(:", "assert f(1)")[0].detail.startswith("SyntaxError")


@needs_sandbox
def test_a_verdict_does_not_depend_on_the_order_of_a_set():
    program = "def f(): return ''.join({'red', 'green', 'blue', 'black', 'white', 'grey'})"
    first, second = (tried(program, "assert f() == 0, f()")[0].detail for _ in range(2))
    assert first == second != ""


@needs_sandbox
def test_stopping_early_stops_at_the_first_failure():
    assert (
        len(tried("f = int", ["assert f(1) == 1", "assert f(1) == 2", "assert f(1) == 1"], stop_early=True))
        == 2
    )


# --- no verdict


@needs_sandbox
@pytest.mark.parametrize("test, setup, reason", [
    ("assert f(object()) == 1", "", "cannot leave its process"),
    ("import not_there", "", "not_there"),
    ("assert (", "", "SyntaxError"),
    ("assert f(1)", "import not_there", "not_there"),
    ("assert f(1)", "1 / 0", "ZeroDivisionError"),
])  # fmt: skip
def test_a_test_that_cannot_run_here_is_no_verdict(test, setup, reason):
    [trial] = tried("def f(x): return 1", test, setup)
    assert trial.status == "refused" and reason in trial.detail
    with pytest.raises(SandboxFailed, match=reason):
        asyncio.run(check_unit_tests("def f(x): return 1", {"tests": [test], "setup": setup}))
    outcome = asyncio.run(CHECKER.check({"tests": [test], "setup": setup}, "def f(x): return 1"))
    assert isinstance(outcome, Unscorable) and reason in outcome.reason


@needs_sandbox
@pytest.mark.parametrize("program, test, setup", [
    ("import not_there", "assert f(1)", ""),
    ("def f(x): import not_there", "assert f(1)", ""),
    ("def f(x):\n    for _ in range(200): x = [x]\n    return x", "assert f(f(f(f(f(1))))) == 1", ""),
    ("Node = None", "assert f(1)", "class Node: pass\nroot = Node()"),
])  # fmt: skip
def test_a_reply_cannot_choose_to_have_no_verdict(program, test, setup):
    """It must not be able to trade its 0 for being left out."""
    [trial] = tried(program, test, setup)
    assert trial.status == "failed"
