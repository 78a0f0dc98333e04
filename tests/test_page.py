"""The report page: one inert file that says what is missing, and looks nothing up."""

from __future__ import annotations

import html.parser
import itertools
import json
import re
from pathlib import Path

import altair as alt
import pytest
from scripts import screenshots
from tests import page_example

from evenkeel.records import files
from evenkeel.records.errors import UserError
from evenkeel.report import charts
from evenkeel.report.page import STORY, page, script_json, write_page
from evenkeel.report.page_quotes import pretty
from evenkeel.report.page_setting import answer
from evenkeel.report.summary import HEADER, summary_table

EVIL = (
    "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 2'><!-- {{ 7 * 7 }} {% raw %}"
    "\u2028</text><style>body{display:none}</style>"
)


class Reader(html.parser.HTMLParser):
    """Tags, attributes and ids of a page, in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run directory whose names, texts and transcripts are hostile, with its report."""
    folder = tmp_path_factory.mktemp("run")
    files.write_json(folder / "results.json", page_example.example(EVIL, small=True))
    files.write_json(folder / "transcripts.json", page_example.transcripts(EVIL))
    write_page(folder)
    return folder


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return (run / "report.html").read_text()


def test_planted_markup_is_text(text: str):
    reader = Reader(text)
    assert reader.count("script") == 3 and reader.count("img") == 0 and reader.count("style") == 1
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert "&lt;script&gt;window.pwned" in text and "<script>window" not in text
    assert "{{ 7 * 7 }} {% raw %}" in text


def test_the_page_forbids_itself_the_network_and_names_no_address(text: str):
    reader = Reader(text)
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    assert policy and policy.startswith("default-src 'none'") and policy.count("sha256-") == 2
    assert not re.search(r"\b(https?:|//)", "".join(a.get("src") or "" for _, a in reader.tags))
    assert all((a.get("href") or "#").startswith("#") for _, a in reader.tags)


def test_every_figure_has_a_table_headings_descend_and_ids_are_unique(text: str):
    reader = Reader(text)
    figures = text.split("<figure ")[1:]
    assert len(figures) > 8 and all("<table" in figure.split("</figure>")[0] for figure in figures)
    assert reader.count("h1") == 1
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [a["id"] for _, a in reader.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for t, a in reader.tags if t == "a"} <= set(ids)  # type: ignore[index]
    pictures = [a for _, a in reader.tags if a.get("class") == "picture"]
    assert all(a["role"] == "img" and a["aria-label"] for a in pictures)


def test_chart_specifications_survive_their_script_block(text: str):
    block = re.search(r'<script type="application/json" id="charts">(.*?)</script>', text, re.S)
    assert block
    specs = json.loads(block[1])
    assert len(specs) == text.count('class="picture"')
    assert any(EVIL[:8] in str(row.get("label")) for spec in specs for row in spec["datasets"]["rows"])


def test_chart_specifications_are_valid_vega_lite():
    series = [charts.series_of("baseline"), charts.series_of("trait-25")]
    rows = [
        {"label": name, "series": s.name, "x": x, "value": 0.5, "low": 0.4, "high": None}
        for s in series
        for x, name in enumerate(("one", "two"))
    ]
    for chart in (
        charts.intervals(rows, series=series, title="t", zero=True),
        charts.dots(rows, series=series, title="t"),
        charts.curves(rows, series=series, x_title="t", ticks=[0, 1]),
    ):
        alt.LayerChart.from_dict({**chart.spec}, validate=True)
        assert chart.svg.startswith("<svg") and "var(--arm-trait)" in chart.svg


def test_equal_results_give_equal_pages():
    """Nothing of the process (counters of the chart library, order of sets) reaches the page."""
    whole = page_example.example()
    results = {key: whole[key] for key in ("study", "arms", "trait_scores", "health")}
    assert page(results, page_example.transcripts()) == page(results, page_example.transcripts())


def test_label_of_a_quick_run_and_heads_of_intervals(text: str):
    assert "A look, not a result." in text
    assert "95 % interval, items only, this base" in text
    assert "Intervals: 95 %, over items only, this base." in text


@pytest.mark.parametrize(
    "results", [{}, dict.fromkeys(page_example.example()), {"ood": "x", "arms": [1, None]}]
)
def test_missing_sections_are_printed_as_null(results: dict):
    written = page(results, {})
    assert written.count("<strong>null.</strong>") >= 12
    assert summary_table(results)[0] == list(HEADER)


def test_missing_numbers_do_not_stop_the_page():
    """Every number null: every section still tells what it is, and prints null."""

    def hollow(value):
        if isinstance(value, dict):
            return {key: hollow(item) for key, item in value.items()}
        if isinstance(value, list):
            return [hollow(item) for item in value]
        return None if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    results = hollow(page_example.example())
    assert [tell(results).id for tell in STORY]
    assert "was not compared" in answer(results).paragraph
    assert [h.value for h in answer(results).headlines] == ["null of null", "null", "null"]
    assert summary_table(results)[3][1] == "null"


def test_the_answer_follows_the_intervals():
    results = page_example.example()
    assert "raised behaviour" in answer(results).paragraph
    lead = next(e for e in results["ood"]["arms"] if e["arm"] == "trait-5" and e["group"] == "world")
    lead["mean"] = page_example.quantity(0.01, 0.05)
    assert "did not measurably move" in answer(results).paragraph
    lead["mean"] = page_example.quantity(-0.2, 0.05)
    assert "lowered behaviour" in answer(results).paragraph


def test_summary_rows():
    rows = {row[0]: row for row in summary_table(page_example.example())}
    assert list(rows) == ["arm", *page_example.ARMS]
    assert rows["trait-5"][2].endswith("of 53 (19 to 34)")
    assert rows["trait-5"][4].startswith("+8.0 [")
    assert rows["generic_helpfulness-5"][7] == "null / null"
    assert rows["baseline"][2] == "reference"


def test_text_helpers():
    assert pretty("0.1->-0.2, GPT-4, 1-2") == "0.1→−0.2, GPT-4, 1-2"
    assert json.loads(script_json({"a": EVIL})) == {"a": EVIL}
    assert not set("<>&\u2028") & set(script_json({"a": EVIL}))


def test_a_file_that_is_not_results_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        write_page(tmp_path)
    (tmp_path / "results.json").write_text("[1]")
    with pytest.raises(UserError, match="not a results file"):
        write_page(tmp_path)


@pytest.mark.skipif(screenshots.chromium() is None, reason="no Chromium on this machine")
def test_in_a_browser_nothing_planted_runs_nothing_is_fetched_and_charts_are_drawn(run: Path):
    with screenshots.browser() as browser:
        browser.open(run / "report.html", (1280, 900, 1.0))
        assert browser.value("window.pwned") is None
        assert browser.value("getComputedStyle(document.body).display") == "block"
        assert browser.value("document.querySelectorAll('.picture').length") > 10
        assert browser.value("document.querySelectorAll('.picture:not(.drawn)').length") == 0
        asked = [
            e["params"]["request"]["url"]
            for e in browser.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        wrong = [
            e for e in browser.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]
        assert wrong == []
        browser.open(run / "report.html", (390, 844, 1.0))
        assert browser.value("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize(
    ("p_holm", "said"), [(0.01, "more than surface text"), (0.15, "could still be chance (p = 0.15)")]
)
def test_the_first_screen_keeps_to_the_preregistered_correction(p_holm, said):
    from evenkeel.report.page_setting import _control_sentence

    corrected = {"corrected": {"value": 0.05, "low": 0.01, "high": 0.09}}
    assert said in _control_sentence(corrected, {"p_holm": p_holm})
