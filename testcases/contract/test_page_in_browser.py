# SPDX-License-Identifier: MIT
"""The sample page in a browser: search, sorting, links, two widths, light and dark, printed."""

import re
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from testcases.contract.browser import Browser, browser, program

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="no Chromium is installed: apt-get install chromium"),
]

SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample" / "index.html"
DESKTOP, PHONE = 1280, 390

OVERFLOWING = """
(() => {
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const inside = (e) => e.parentElement && (scrolls(e.parentElement) || inside(e.parentElement));
  const wide = document.documentElement.clientWidth;
  return [...document.body.querySelectorAll("*")]
    .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > wide + 1 && !inside(e))
    .map((e) => e.tagName + "." + e.getAttribute("class") + " " + e.textContent.slice(0, 40));
})()
"""
"""Elements that are wider than the window, except those inside an element that scrolls."""

FAINT = """
(() => {
  const probe = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = (css) => {
    probe.clearRect(0, 0, 1, 1); probe.fillStyle = css; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b]
    .map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const found = rgb(getComputedStyle(e).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const faint = new Set();
  for (const e of document.body.querySelectorAll("*")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length || e.closest("script, style")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [luminance(rgb(e.closest("svg") ? style.fill : style.color)), luminance(ground(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${e.tagName}.${e.getAttribute("class")} ${ratio.toFixed(2)}`);
  }
  return [...faint];
})()
"""
"""Text with too little contrast. Ref: WCAG 2.2, 1.4.3 Contrast (Minimum), 4.5 : 1"""

UNNAMED = """
[...document.querySelectorAll("svg")]
  .filter((e) => !e.getAttribute("aria-label") || e.getAttribute("role") !== "img")
  .concat([...document.querySelectorAll("a, button")].filter((e) => !e.textContent.trim()))
  .concat([...document.querySelectorAll("input")].filter((e) => !e.labels.length)).length
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for this file."""
    with browser() as found:
        yield found


@pytest.fixture
def sheet(chromium: Browser) -> Browser:
    """The sample page, loaded again at desktop width."""
    chromium.look(DESKTOP)
    chromium.open(SAMPLE)
    return chromium


def rows(sheet: Browser) -> list[str]:
    """Rows of the matrix that are visible."""
    script = '[...document.querySelectorAll("#verdicts tbody tr:not(.function)")]'
    return sheet.run(f"{script}.filter((r) => r.getClientRects().length).map((r) => r.cells[0].innerText)")


def test_search_filters_the_rows(sheet: Browser):
    """A search shows the rows that have all its words, and their number; an empty search shows all rows."""
    everything = rows(sheet)
    script = 'search.value = "{}"; search.dispatchEvent(new Event("input")); found.textContent'
    assert sheet.run(script.format("three_methods AGREE notification")) == f"1 of {len(everything)}"
    assert "test_three_methods_agree" in rows(sheet)[0]
    assert sheet.run(script.format("wrong_prediction fail")) == f"1 of {len(everything)}"
    assert "FAIL, on purpose" in rows(sheet)[0]
    assert sheet.run(script.format("no such words")) == f"0 of {len(everything)}"
    assert sheet.run(script.format("")) == ""
    assert rows(sheet) == everything


def test_a_click_on_a_heading_sorts(sheet: Browser):
    """A click on a heading sorts measurements by value, a second one in reverse; aria-sort has the order."""
    script = """
    (() => {
      const table = document.querySelector("table.measured");
      const heading = [...table.tHead.rows[0].cells].find((c) => c.innerText.trim().startsWith("Value"));
      heading.querySelector("button").click();
      const column = heading.cellIndex;
      const value = (row) => parseFloat(row.cells[column].textContent.replace(/ /g, ""));
      return [heading.getAttribute("aria-sort"), [...table.tBodies[0].rows].map(value)];
    })()"""
    order, values = sheet.run(script)
    assert order == "ascending"
    assert len(values) > 3
    assert values == sorted(values)
    order, values = sheet.run(script)
    assert order == "descending"
    assert values == sorted(values, reverse=True)


def test_a_link_opens_the_case_it_leads_to(sheet: Browser):
    """A verdict in the matrix links to its test case, which opens and is visible; evidence is plain text."""
    proven = '.filter((a) => document.querySelector(a.hash + " .proofs a"))'
    anchor = sheet.run(f'[...document.querySelectorAll("#verdicts a.v")]{proven}.at(-1).hash')
    script = """
    new Promise((done) => {
      addEventListener("hashchange", () => requestAnimationFrame(() => {
        const details = document.getElementById(location.hash.slice(1)).closest("details");
        const top = details.getBoundingClientRect().top;
        done([details.open, top > -5 && top < innerHeight]);
      }));
      document.querySelector(`#verdicts a[href="%s"]`).click();
    })"""
    assert sheet.run(script % anchor) == [True, True]
    link = sheet.run(f'document.querySelector("{anchor} .proofs a").href')
    sheet.open(Path(link.removeprefix("file://")))
    assert sheet.run("document.contentType") in ("text/plain", "application/octet-stream")


def test_the_page_is_complete_without_its_script(sheet: Browser):
    """Without JavaScript there is no search field, and everything else is complete and can be opened."""
    sheet.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        sheet.open(SAMPLE)
        assert sheet.run('document.querySelector(".tools").getClientRects().length') == 0
        assert len(rows(sheet)) > 10
    finally:
        sheet.ask("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_overflows_and_all_text_has_contrast(sheet: Browser, width: int, dark: bool):
    """With every test case open, nothing is wider than the window, and text has at least contrast 4.5."""
    sheet.look(width, dark=dark)
    sheet.run('for (const d of document.querySelectorAll("details")) d.open = true')
    assert sheet.run(OVERFLOWING) == []
    assert sheet.run("document.documentElement.scrollWidth") <= width
    assert sheet.run(FAINT) == []


def test_pictures_links_and_fields_have_names(sheet: Browser):
    """Pictures, links and fields have names, headings are in order, and no content policy was violated."""
    assert sheet.run(UNNAMED) == 0
    levels = sheet.run('[...document.querySelectorAll("h1, h2, h3, h4")].map((h) => +h.tagName[1])')
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert sheet.complaints == []


def test_the_policy_stops_a_script_that_is_not_the_pages(sheet: Browser):
    """An injected attribute or script is not executed."""
    sheet.run("""
    document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hit = 1'>");
    const script = document.createElement("script");
    script.textContent = "window.hit = 2";
    document.body.append(script);""")
    assert sheet.run("new Promise((r) => setTimeout(() => r(window.hit ?? 0), 50))") == 0
    assert any("Content Security Policy" in text for text in sheet.complaints)
    sheet.complaints.clear()


def test_it_prints_on_paper(sheet: Browser):
    """The page prints to a PDF of 2 to 40 pages, and nothing is wider than the paper."""
    paper = sheet.pdf()
    assert paper.startswith(b"%PDF-")
    pages = len(re.findall(rb"/Type\s*/Page\b", paper + unpacked(paper)))
    assert 2 <= pages <= 40
    sheet.look(718, media="print")  # A4 without margins of a centimetre, in CSS pixels
    assert sheet.run(OVERFLOWING.replace("!inside(e)", "true")) == []


def unpacked(paper: bytes) -> bytes:
    """All streams of a PDF that are compressed with deflate, decompressed."""
    found = b""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL):
        try:
            found += zlib.decompress(stream)
        except zlib.error:
            continue
    return found
