"use strict";
// The page is complete without this: it adds search, sorting, and opening what a link leads to.
(() => {
  const table = document.getElementById("verdicts");
  const search = document.getElementById("search");
  const bodies = [...table.tBodies];
  const text = (row) => row.textContent.toLowerCase();

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const body of bodies) {
      const head = body.querySelector(".function");
      const about = head ? text(head) : "";
      let some = 0;
      for (const row of body.rows) {
        if (row === head) continue;
        const found = about + text(row);
        row.hidden = !words.every((word) => found.includes(word));
        all += 1;
        some += !row.hidden;
      }
      if (head) head.hidden = !some;
      body.hidden = !some;
      shown += some;
    }
    document.getElementById("found").textContent = words.length ? `${shown} of ${all}` : "";
  };

  const key = (cell) => {
    const value = parseFloat(cell.textContent.replace(/\s/g, ""));
    return Number.isNaN(value) ? cell.textContent.trim().toLowerCase() : value;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

  const sort = (of, column, up) => {
    for (const body of of.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("function"));
      rows.sort((a, b) => (up ? 1 : -1) * compare(key(a.cells[column]), key(b.cells[column])));
      body.append(...rows);
    }
  };

  const sortable = (of) => {
    [...of.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const up = cell.getAttribute("aria-sort") !== "ascending";
        for (const other of of.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(of, column, up);
      });
    });
  };

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const around = target && target.closest("details");
    if (!around) return;
    around.open = true;
    around.scrollIntoView();
  };

  document.querySelector(".tools").hidden = false;
  search.addEventListener("input", filter);
  for (const found of document.querySelectorAll("table.sortable, #verdicts")) sortable(found);
  window.addEventListener("hashchange", reveal);
  reveal();
})();
