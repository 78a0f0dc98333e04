"""No program talks its way to success in the sandbox: it neither forges a pass nor sees its tests."""

from __future__ import annotations

import pytest

from sandbox_programs import BORDER, FORGED, SEEING
from sandbox_trials import needs_sandbox, statuses, tried


@needs_sandbox
@pytest.mark.parametrize("attack", FORGED)
def test_success_cannot_be_forged(attack):
    program, tests = FORGED[attack]
    assert "passed" not in statuses(program, tests)


@needs_sandbox
def test_the_next_test_cannot_be_read_ahead():
    program = (
        "import os, select\ndef waiting(): return select.select([0], [], [], 0)[0] and os.read(0, 10**6)"
    )
    assert statuses(program, ["found = waiting()\nassert found == b'', found"] * 3) == ["passed"] * 3


@needs_sandbox
def test_a_reply_calls_only_what_it_was_given():
    program = (
        BORDER
        + "def f(given):\n    try: return border.ask('call', int, '5')\n    except TypeError: return given()"
    )
    assert statuses(program, "assert f(lambda: 7) == 7") == ["passed"]


@needs_sandbox
def test_the_program_never_sees_its_test():
    """Neither its text nor the names or values in it, in any object or frame of the program's process."""
    assert statuses(SEEING, "secret = 'planted'\nassert seen('argument') == []") == ["passed"]
    [trial] = tried(
        SEEING, "assert seen('argument') == []", "planted = 'planted'"
    )  # a setup is seen: it runs there
    assert trial.status == "failed"
