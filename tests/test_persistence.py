"""Persona ladders and finetuning attacks."""

from __future__ import annotations

import pytest

from evenkeel.persistence.persona import PersonaLadder, prefix
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message

LADDER = PersonaLadder("harmful_medical", "harmful", ("a quack", "a reckless quack"))


def test_a_persona_is_put_first():
    change = prefix(LADDER, 2)
    assert change((Message("user", "hello"),)) == (
        Message("system", "a reckless quack"),
        Message("user", "hello"),
    )


def test_a_system_message_that_is_there_follows_the_persona():
    messages = (Message("system", "today is monday"), Message("user", "hello"))
    assert prefix(LADDER, 1)(messages) == (
        Message("system", "a quack today is monday"),
        Message("user", "hello"),
    )


def test_only_the_first_message_is_touched():
    later = (
        Message("user", "hello"),
        Message("assistant", "hi"),
        Message("system", "note"),
        Message("user", "so"),
    )
    assert prefix(LADDER, 1)(later)[1:] == later


def test_each_strength_has_its_condition_and_unknown_ones_are_refused():
    assert LADDER.condition(2) == "persona:harmful_medical:2"
    for strength in (0, 3):
        with pytest.raises(UserError, match="1 to 2"):
            prefix(LADDER, strength)
        with pytest.raises(UserError):
            LADDER.condition(strength)
