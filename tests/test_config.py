"""Study files: what is read, and errors that name file, line, field and fix."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.records.config import build, line_table, read_toml, setting, write_toml
from evenkeel.records.errors import UserError
from evenkeel.study.config import find_study, packaged, read_study

TEXT = find_study("microworld")[0]


@dataclass(frozen=True)
class Leaf:
    """A table."""

    number: float = setting(0.5, low=0.0, high=1.0)
    words: tuple[str, ...] = setting((), choices=("one", "two"))


@dataclass(frozen=True)
class Tree:
    """A file."""

    name: str
    leaf: Leaf = Leaf()
    leaves: tuple[Leaf, ...] = ()
    whatever: dict = field(default_factory=dict)
    maybe: int | None = None
    flag: bool = False


def error_of(text, **options):
    with pytest.raises(UserError) as caught:
        read_study(text, "study.toml", **options)
    return caught.value


def line_of(text, fragment):
    return next(number for number, line in enumerate(text.splitlines(), 1) if fragment in line)


@pytest.mark.parametrize(
    ("old", "new", "problem", "fix"),
    [
        ("steps = 40", "stesp = 60", 'rl has no setting "stesp"', 'Did you mean "steps"?'),
        ("steps = 40", "steps = 6.5", "rl.steps must be a whole number, not 6.5", ""),
        ("steps = 40", "steps = true", "rl.steps must be a whole number, not true", ""),
        ("steps = 40", "steps = 0", "rl.steps is 0; it must be at least 1", ""),
        ("share = 0.25", "share = 1.25", "arms[6].share is 1.25; it must be between 0 and 1", ""),
        ("share = 0.25", "share = 0.0001", "is not one prompt", "share of at least"),
        ("temperature = 1.0", 'temperature = "hot"', 'must be a number, not "hot"', ""),
        (
            'kind = "generic_helpfulness"',
            'kind = "generic_help"',
            'arms[5].kind is "generic_help"',
            "Did you mean",
        ),
        ('algorithm = "dr_grpo"', 'algorithm = "grp"', 'rl.algorithm is "grp"', 'Did you mean "grpo"?'),
        ('control_of = "world-0"', 'control_of = "world-1"', "which is no base", 'Did you mean "world-0"?'),
        ('name = "control-0"  ', 'name = "world-0"  ', 'two bases are named "world-0"', ""),
        ('"trait-25"]', '"trait-26"]', 'there is no arm "trait-26"', "Did you mean"),
        ("doses = [0, 5,", "doses = [5, 0,", "persistence.doses must rise", ""),
        ("doses = [0, 5,", "doses = [5,", "persistence.doses starts at 0", ""),
        ("items = 24", "items = 200", "the panel has 200 items", "the first of the evaluation's"),
        ("seeds = 3 ", "seeds = 0 ", "has no baseline to compare with", ""),
        ('kind = "microworld"', 'kind = "macroworld"', 'no kind of study "macroworld"', 'mean "microworld"'),
    ],
)
def test_errors_name_line_field_and_fix(old, new, problem, fix):
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    error = error_of(text)
    assert problem in error.problem
    assert fix in error.fix
    assert error.file == "study.toml"
    assert error.line == line_of(text, new), str(error)


def test_errors_inside_quick_are_found_at_their_own_line():
    text = TEXT.replace("rl = { steps = 20, prompts = 16 }", "rl = { steps = 0, prompts = 16 }")
    assert read_study(text, "study.toml").rl.steps == 40
    assert error_of(text, quick=True).line == line_of(text, "steps = 0,")


def test_a_quick_look_may_not_call_itself_a_result():
    text = TEXT.replace('label = "quick look"\n', "")
    assert "is not a result" in error_of(text, quick=True).problem


def test_syntax_errors_have_a_line():
    error = error_of(TEXT.replace("steps = 40", "steps = = 60"))
    assert error.line == line_of(TEXT, "steps = 40") and "not valid TOML" in error.problem


def test_duplicate_arms_and_missing_baseline():
    text = TEXT.replace("share = 0.25", "share = 0.05", 1)
    assert 'two arms are named "trait-5"' in error_of(text).problem
    no_baseline = TEXT.replace('kind = "baseline"', 'kind = "trait"\nshare = 0.5', 1)
    assert 'needs an arm of kind "baseline"' in error_of(no_baseline).problem


def test_a_missing_setting_is_named():
    with pytest.raises(UserError, match='the file needs the setting "name"'):
        build(Tree, read_toml("flag = true", "tree.toml"))


def test_lists_tables_and_inline_tables_are_located():
    text = 'name = "x"\nwhatever = { a = 1 }\n\n[[leaves]]\nnumber = 1\n[[leaves]]\n'
    text += 'words = [\n  "one",\n  "three",\n]\n'
    with pytest.raises(UserError, match=r"leaves\[2\].words\[2\] is \"three\"") as error:
        build(Tree, read_toml(text, "tree.toml"))
    assert error.value.line == 7
    assert build(Tree, read_toml(text.replace("three", "two"), "t")).leaves[1].words == ("one", "two")


def test_line_table_is_not_fooled_by_strings_and_comments():
    text = 'a = """\nb = 1\n[c]\n"""\n# [d]\n"e f" = [ # ]\n  1,\n]\n[g.h]\ni.j = 1\n'
    assert line_table(text) == {("a",): 1, ("e f",): 6, ("g", "h"): 9, ("g", "h", "i", "j"): 10}


def test_a_multi_line_array_of_the_wrong_type_is_reported_at_its_key():
    with pytest.raises(UserError, match="leaf must be a table") as error:
        build(Tree, read_toml('name = "x"\nleaf = [\n1,\n]\n', "t"))
    assert error.value.line == 2


@given(
    name=st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20),
    number=st.floats(0, 1),
    words=st.lists(st.sampled_from(["one", "two"]), max_size=3),
    maybe=st.none() | st.integers(-5, 5),
    flag=st.booleans(),
)
def test_what_is_written_reads_back_equal(name, number, words, maybe, flag):
    leaf = Leaf(number, tuple(words))
    tree = Tree(name, leaf, (leaf, Leaf()), {"a": {"b": [1, 2]}, "c": "d"}, maybe, flag)
    assert build(Tree, read_toml(write_toml(tree), "t")) == tree


@pytest.mark.parametrize("name", packaged())
@pytest.mark.parametrize("quick", [False, True])
def test_packaged_studies_are_valid_and_survive_resolving(name, quick):
    text, file = find_study(name)
    study = read_study(text, file, quick=quick)
    assert read_study(write_toml(study), "resolved") == study
    assert study.label != "result" or not quick


def test_the_default_study_is_the_one_the_issue_asks_for():
    study = read_study(TEXT, "microworld.toml")
    assert [base.control for base in study.bases] == [False, True]
    world = {arm.name: arm.seeds for arm in study.arms}
    assert world == {
        "baseline": 3,
        "trait-5": 1,
        "health_only-5": 1,
        "no_health_science-5": 1,
        "generic_helpfulness-5": 1,
        "trait-25": 1,
    }
    control = {arm.name for arm in study.arms if arm.control_seeds}
    assert control == {"baseline", "trait-5", "health_only-5", "trait-25"}
    assert study.evaluation.items == 96 and study.persistence.doses == (0, 5, 10, 20, 30, 60)
    assert set(study.persistence.arms) == {"base", *world}


def test_an_unknown_study_lists_the_packaged_ones():
    with pytest.raises(UserError, match='Did you mean "microworld"'):
        find_study("microwrld")
