"""The page to browse scenarios: everything is on it, escaped; it loads nothing; filters have what they need."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from evenkeel.scenarios.audit.found import Finding
from evenkeel.scenarios.browse import page, write_page
from scenario_examples import BRIDGE, CHESS, FERRITIN, GOOD, STRIKE, changed, row

ROWS = [row(record) for record in GOOD]
EVIL = "</p><script>alert(1)</script><img src=x onerror=alert(2)> & \"quoted\" 'it'"


class Reader(HTMLParser):
    """Tags with attributes, the text, and whether tags are closed in order."""

    VOID = ("meta", "input", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open, self.articles = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "article":
            self.articles[dict(attrs)["id"]] = dict(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_everything_of_a_row_is_on_the_page():
    reader = Reader(page(ROWS))
    text = "".join(reader.text)
    for one in ROWS:
        assert one.title in text and one.id in text and one.provenance.reviewer in text
        for turn in one.messages:
            assert turn.content in text
        for line in one.criteria:
            assert line.text in text
        for reply in one.replies:
            assert reply.text in text
    assert "+6" in text and "−8" in text
    assert "The good reply earns 1.00" in text and "The bad reply earns −0.80" in text
    assert "An earlier assistant turn is flawed." in text
    assert not reader.open


def test_texts_are_escaped_wherever_they_stand():
    line = {"id": "evil", "text": EVIL, "points": 3}
    one = changed(
        FERRITIN,
        title=EVIL,
        person=FERRITIN["person"] | {"who": EVIL, "country": EVIL},
        messages=[{"role": turn["role"], "content": EVIL} for turn in FERRITIN["messages"]],
        criteria=[line, *FERRITIN["criteria"]],
        good_reply={"text": EVIL, "meets": ["evil"]},
        bad_reply={"text": EVIL, "meets": []},
        provenance=FERRITIN["provenance"] | {"source": EVIL, "writer": EVIL, "reviewer": EVIL},
    )
    finding = Finding("schema", "error", EVIL, EVIL, "mine.jsonl", 1, FERRITIN["id"])
    reader = Reader(page([row(one)], [finding]))
    assert [tag for tag, _ in reader.tags].count("script") == 1
    assert not [tag for tag, _ in reader.tags if tag == "img"]
    assert "".join(reader.text).count(EVIL) >= 11
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]


def test_the_page_loads_nothing_and_runs_one_script_only():
    text = page(ROWS)
    reader = Reader(text)
    policy = next(attrs["content"] for tag, attrs in reader.tags if attrs.get("http-equiv"))
    script = re.search(r"<script>(.*?)</script>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert not [attrs for _, attrs in reader.tags if "src" in attrs or attrs.get("href", "#")[0] != "#"]
    assert "http://" not in text and "https://" not in text


def test_articles_say_what_the_filters_ask_for():
    articles = Reader(page(ROWS)).articles
    assert list(articles) == [  # traits and domains in their order, training before evaluation
        "truthfulness/health/train-01", "truthfulness/law/train-01", "metacognitive_transparency/mathematics/train-03",
        "corrigibility/engineering/eval-01", "universalizable_fairness/games/eval-02", "bounded_initiative/art_music/train-01",
    ]  # fmt: skip
    strike, bridge = articles[STRIKE["id"]], articles[BRIDGE["id"]]
    assert (bridge["data-trait"], bridge["data-domain"], bridge["data-split"]) == (
        "corrigibility",
        "engineering",
        "eval",
    )
    assert strike["data-has"].split() == ["system", "attachment"]
    assert articles[FERRITIN["id"]]["data-has"].split() == ["pair", "flawed"]


@pytest.mark.parametrize("name", ["trait", "domain", "split", "has"])
def test_filters_offer_what_is_there(name):
    text = page([row(FERRITIN), row(CHESS)])
    options = re.search(rf'<select id="{name}">(.*?)</select>', text, re.S).group(1)
    values = re.findall(r'value="([^"]*)"', options)
    assert values[0] == ""
    if name == "trait":
        assert values[1:] == ["truthfulness", "universalizable_fairness"]
    if name == "domain":
        assert values[1:] == ["health", "games"]


def test_findings_stand_at_their_scenario():
    finding = Finding(
        "openings", "error", "begins like another", "Begin elsewhere.", "mine.jsonl", 4, CHESS["id"]
    )
    text = page(ROWS, [finding])
    article = text[text.index(f'<article id="{CHESS["id"]}"') :]
    assert article.index("begins like another") < article.index("</article>")
    assert text.count("begins like another") == 1
    assert "finding" in Reader(text).articles[CHESS["id"]]["data-has"]


def test_labels_and_headings_are_there_for_those_who_listen():
    reader = Reader(page(ROWS))
    assert [tag for tag, _ in reader.tags].count("main") == 1 and [tag for tag, _ in reader.tags].count(
        "h1"
    ) == 1
    fields = [attrs for tag, attrs in reader.tags if tag in ("select", "input")]
    text = page(ROWS)
    assert all(re.search(rf'<label[^>]*>[^<]+<(select|input) id="{field["id"]}"', text) for field in fields)
    assert 'role="status"' in text and 'lang="en"' in text and "width=device-width" in text


def test_equal_rows_give_equal_bytes_in_any_order(tmp_path):
    write_page(tmp_path / "a.html", ROWS)
    write_page(tmp_path / "b.html", ROWS[::-1])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_an_empty_page_is_a_page():
    assert "0 scenarios" in page([])
