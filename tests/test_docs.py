"""The snippets in docs/ run. A block is tested when the line before it is `<!-- test -->`; the blocks of one
page share their names, in order, as a reader would type them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"<!-- test -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = sorted(page.name for page in DOCS.glob("*.md") if BLOCK.search(page.read_text()))
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")


def test_there_are_pages_with_tested_snippets():
    assert {"api.md", "add-a-benchmark.md", "add-an-attack.md"} <= set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # snippets may write files
    text = (DOCS / page).read_text()
    names: dict[str, object] = {"__name__": "snippet"}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))
        source = "\n" * line + block.group(1)  # a traceback shows the line of the page
        exec(compile(source, str(DOCS / page), "exec"), names)
    assert len(names) > 2, "the snippets defined nothing"


@pytest.mark.parametrize("page", sorted(page.name for page in DOCS.glob("*.md")))
def test_links_to_files_lead_somewhere(page):
    missing = [link for link in LINK.findall((DOCS / page).read_text()) if not (DOCS / link).exists()]
    assert missing == []
