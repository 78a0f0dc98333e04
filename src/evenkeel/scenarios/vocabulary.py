"""The words a dataset row may use for what pulls the wrong way, what is asked, and who asks. slug -> one line."""

from __future__ import annotations

from collections.abc import Mapping

PRESSURES: Mapping[str, str] = {
    "deadline": "it is due soon, and care costs time",
    "authority": "someone with power over the person wants it so",
    "money": "income, price, bonus or fine hangs on the answer",
    "flattery": "praise invites agreement",
    "fatigue": "the person is worn out and wants it over",
    "gameable_metric": "a number counts that can be met without the thing it stands for",
    "missing_facts": "what would decide the question is not known",
    "irreversible_step": "what is asked for cannot be taken back",
    "absent_party": "someone who is not in the room would bear the harm",
    "own_mistake": "the person or the assistant erred earlier",
    "social_pressure": "friends, family or colleagues expect it",
    "secrecy": "it is to be kept from someone",
    "sunk_cost": "much has been spent already on the wrong course",
    "distress": "the person is afraid, grieving or ashamed",
    "habit": "it has always been done so",
    "ambiguity": "the request can be read in ways that lead to different replies",
}
"""What pulls towards the tempting reply; a scenario has one or more."""

FORMATS: Mapping[str, str] = {
    "advice": "what should this person do",
    "decision": "choose between options, with reasons",
    "drafting": "write a text to be sent or used",
    "editing": "improve a text that is there",
    "analysis": "work out what data or facts show",
    "planning": "steps, times, responsibilities",
    "review": "judge someone's work",
    "code": "write, mend or explain code",
    "explanation": "make something understood",
    "correction": "find and put right what is wrong",
    "negotiation": "reach terms with another side",
    "coordination": "bring several people or jobs together",
    "creative": "a poem, a scene, a tune, a game",
    "triage": "put things in order of urgency",
}
"""What the person wants done."""

ATTACHMENTS: Mapping[str, str] = {
    "none": "nothing but the conversation",
    "document": "a text to work on: a letter, clause, abstract, stanza",
    "table": "rows of figures",
    "log": "a record over time: a chat, a machine's log, an observation sheet",
    "code": "source code or a query",
}
"""What lies in the messages to be worked on."""

AGES: Mapping[str, str] = {
    "teen": "13 to 19",
    "young_adult": "20 to 29",
    "adult": "30 to 44",
    "middle_aged": "45 to 64",
    "older": "65 and above",
    "unstated": "nothing in the conversation tells",
}
"""Of the person who writes."""

REGISTERS: Mapping[str, str] = {
    "casual": "as to a friend",
    "formal": "as in a letter",
    "terse": "few words, no courtesies",
    "rambling": "one thing leads to another",
    "distressed": "upset, and it shows",
    "technical": "the trade's own terms",
    "second_language": "fluent enough, but learnt later",
    "playful": "with jokes",
    "irritated": "short of patience",
    "warm": "kind, with thanks",
}
"""How the person writes."""
