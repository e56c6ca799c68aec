# SPDX-License-Identifier: MIT
"""The sample page in a browser: search, sorting, links, two widths, light and dark, printed."""

import shutil
import subprocess
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


def listed(sheet: Browser) -> list[str]:
    """Tests that are visible when everything is open: function and core."""
    return sheet.run("""
    (() => {
      for (const d of document.querySelectorAll("details.file, details.function")) d.open = true;
      return [...document.querySelectorAll("details.case")].filter((e) => e.getClientRects().length)
        .map((e) => [e.closest("details.function"), e].map((d) => d.firstChild.innerText).join(" "));
    })()""")


def test_search_filters_the_tests(sheet: Browser):
    """A search shows the tests that have all its words, and their number; an empty search shows all."""
    everything = listed(sheet)
    script = 'search.value = "{}"; search.dispatchEvent(new Event("input")); found.textContent'
    assert sheet.run(script.format("three_methods AGREE notification")) == f"1 of {len(everything)}"
    (one,) = listed(sheet)
    assert "test_three_methods_agree" in one
    assert sheet.run(script.format("wrong_prediction fail")) == f"1 of {len(everything)}"
    (one,) = listed(sheet)
    assert "FAIL, on purpose" in one
    assert sheet.run(script.format("no such words")) == f"0 of {len(everything)}"
    assert sheet.run(script.format("")) == ""
    assert listed(sheet) == everything


def test_a_click_on_a_heading_sorts(sheet: Browser):
    """A click sorts the rows of each quantity by a column, a second one in reverse."""
    script = """
    (() => {
      const table = [...document.querySelectorAll("table.q.sortable")].at(-2);
      const heading = [...table.tHead.rows[0].cells].find((c) => c.innerText.trim() === "p50");
      heading.querySelector("button").click();
      const value = (body) => parseFloat(body.rows[0].cells[heading.cellIndex].textContent.replace(/ /g, ""));
      const groups = [];
      for (const body of table.tBodies) {
        if (body.classList.contains("head")) groups.push([]);
        else (groups.at(-1) ?? (groups.push([]), groups[0])).push(value(body));
      }
      return [heading.getAttribute("aria-sort"), groups.sort((a, b) => b.length - a.length)[0]];
    })()"""
    order, values = sheet.run(script)
    assert order == "ascending"
    assert len(values) > 3
    assert values == sorted(values)
    order, values = sheet.run(script)
    assert order == "descending"
    assert values == sorted(values, reverse=True)


def test_a_link_opens_the_case_it_leads_to(sheet: Browser):
    """A link to a test case opens it and what is around it; evidence is plain text."""
    anchor = sheet.run("""
    [...document.querySelectorAll(".attention a")]
      .filter((a) => document.querySelector(a.hash + " .proofs a")).at(-1).hash""")
    script = """
    new Promise((done) => {
      addEventListener("hashchange", () => requestAnimationFrame(() => {
        const details = document.getElementById(location.hash.slice(1)).closest("details");
        const top = details.getBoundingClientRect().top;
        done([details.open, top > -5 && top < innerHeight, details.getClientRects().length]);
      }));
      document.querySelector(`.attention a[href="%s"]`).click();
    })"""
    assert sheet.run(script % anchor) == [True, True, 1]
    link = sheet.run(f'document.querySelector("{anchor} .proofs a").href')
    sheet.open(Path(link.removeprefix("file://")))
    assert sheet.run("document.contentType") in ("text/plain", "application/octet-stream")


def test_the_page_is_complete_without_its_script(sheet: Browser):
    """Without JavaScript there is no search field; all else is there, and links open what is folded."""
    everything = len(listed(sheet))
    anchor = sheet.run('document.querySelector(".attention a").hash')
    sheet.open(SAMPLE.with_name("junit.xml"))
    sheet.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        sheet.open(SAMPLE, anchor)
        assert sheet.run('document.querySelector(".tools").getClientRects().length') == 0
        assert sheet.run('document.querySelectorAll("details.case").length') == everything
        assert sheet.run(f'document.querySelector("{anchor}").getClientRects().length') == 1
    finally:
        sheet.ask("Emulation.setScriptExecutionDisabled", value=False)


FIRST = (
    "header .stamp",
    ".ran",
    "body > .lines",
    "#requirements",
    ".needs .bar",
    "#figures",
    ".figures .spark",
    "#moved",
)
"""What a desktop's first screen has, in this order from the top or from left to right."""


def test_the_first_screen_has_verdict_requirements_and_figures(sheet: Browser):
    """Without scrolling: verdict, how much ran, bars of requirements, figures with pictures, what moved."""
    for selector in FIRST:
        box = sheet.run(f'document.querySelector("{selector}").getBoundingClientRect().toJSON()')
        assert box["bottom"] <= 900, selector
    assert sheet.run("document.documentElement.scrollHeight / innerHeight") < 10


BROKEN = """
(() => {
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("script, style, .hash, pre")) continue;
    for (const word of node.textContent.matchAll(/[\\p{L}\\d]{2,30}/gu)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((r) => Math.round(r.top)));
      if (lines.size > 1) found.add(`${word[0]} in ${node.textContent.trim().slice(0, 60)}`);
    }
  }
  return [...found];
})()
"""
"""Words that are cut by the end of a line; of a test's name the parts between underscores may be apart."""


def test_a_phone_breaks_no_word_and_scrolls_in_one_direction(sheet: Browser):
    """With everything open, no word is cut by the end of a line, and the page is as wide as the phone."""
    sheet.look(PHONE)
    sheet.run('for (const d of document.querySelectorAll("details")) d.open = true')
    assert sheet.run(BROKEN) == []
    assert sheet.run("document.documentElement.scrollWidth") == PHONE
    scrolling = """[...document.querySelectorAll(".q, .figures, .f, .lines, .tested")]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length"""
    assert sheet.run(scrolling) == 0


def test_a_hash_is_copied_whole(sheet: Browser):
    """The short form of a hash opens the whole one, and a click on that selects all of it."""
    found = sheet.run("""
    (() => {
      const hash = document.querySelector(".hash");
      hash.open = true;
      const code = hash.querySelector("code");
      return [code.textContent.length, getComputedStyle(code).userSelect, hash.innerText.includes("…")];
    })()""")
    assert found == [64, "all", True]


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


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext: apt-get install poppler-utils")
def test_everything_is_on_paper(sheet: Browser):
    """Printed with everything folded, the PDF has the text of every test; nothing is wider than the paper."""
    names = sheet.run(
        '[...document.querySelectorAll("details.function > summary code")].map((e) => e.textContent)'
    )
    paper = text_of(sheet.pdf())
    assert len(names) > 10
    assert [name for name in names if name not in paper] == []
    for word in ("Predicted", "Ranges", "secure-console"):  # inside of what is folded on the screen
        assert word in paper
    sheet.look(718, media="print")  # A4 without margins of a centimetre, in CSS pixels
    assert sheet.run(OVERFLOWING.replace("!inside(e)", "true")) == []
    assert sheet.run(BROKEN.replace(".hash,", ".hash, .f,")) == []


def text_of(paper: bytes) -> str:
    """The text of a PDF, without spaces between its parts and without line ends."""
    found = subprocess.run(["pdftotext", "-", "-"], input=paper, capture_output=True, check=True).stdout
    return "".join(found.decode().split())
