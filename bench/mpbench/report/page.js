"use strict";
// The page is complete without this: it adds search, sorting, and opening what a link leads to.
(() => {
  const search = document.getElementById("search");
  const files = [...document.querySelectorAll("details.file")];
  const text = (e) => e.textContent.toLowerCase();
  const own = (details) => text(details.querySelector("summary"));

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0, all = 0;
    for (const file of files) {
      let inFile = 0;
      for (const named of file.querySelectorAll("details.function")) {
        const about = `${own(file)} ${own(named)}`;
        let some = 0;
        for (const test of named.querySelectorAll("details.case")) {
          const found = `${about} ${own(test)}`;
          test.hidden = !words.every((word) => found.includes(word));
          all += 1;
          some += !test.hidden;
        }
        named.hidden = !some;
        inFile += some;
      }
      file.hidden = !inFile;
      file.open = words.length > 0 && inFile > 0;
      shown += inFile;
    }
    document.getElementById("found").textContent = words.length ? `${shown} of ${all}` : "";
  };

  const key = (cell) => {
    const value = parseFloat((cell?.textContent ?? "").replace(/\s/g, ""));
    return Number.isNaN(value) ? Infinity : value;
  };

  // A row of a measurement is a tbody; rows are sorted below the heading of their quantity.
  const sort = (table, column, up) => {
    const order = (a, b) => key(a.rows[0].cells[column]) - key(b.rows[0].cells[column]);
    const under = [[]];
    for (const body of table.tBodies) {
      if (body.classList.contains("head")) under.push([body], []);
      else under.at(-1).push(body);
    }
    for (const bodies of under) table.append(...bodies.sort((a, b) => (up ? order(a, b) : order(b, a)) || 0));
  };

  const sortable = (table) => {
    [...table.tHead.rows[0].cells].forEach((cell, column, cells) => {
      if (column < 2 || column > cells.length - 3) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const up = cell.getAttribute("aria-sort") !== "ascending";
        for (const other of cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up);
      });
    });
  };

  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let e = target.closest("details"); e; e = e.parentElement.closest("details")) e.open = true;
    (target.closest("details.case") ?? target).scrollIntoView();
  };

  document.querySelector(".tools").hidden = false;
  search.addEventListener("input", filter);
  for (const found of document.querySelectorAll("table.sortable")) sortable(found);
  window.addEventListener("hashchange", reveal);
  reveal();
})();
