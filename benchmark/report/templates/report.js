"use strict";
// Everything can be read without this: it shows one page at a time, sorts, filters, and hides what a legend is told to.

const pages = [...document.querySelectorAll(".page")];
const title = document.title;

function show(page) {
  for (const other of pages) other.classList.toggle("current", other === page);
  for (const link of document.querySelectorAll(".bar nav a")) {
    const here = link.hash === "#" + page.id;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  document.title = page === pages[0] ? title : page.querySelector("h2").textContent + " – " + title;
}

function open(target) {
  for (const aimed of document.querySelectorAll(".aimed")) aimed.classList.remove("aimed");
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  target.classList.add("aimed");
}

function route(event) {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const page = target ? target.closest(".page") : pages[0];
  if (!page) return; // the skip link's: what is shown stays
  show(page);
  if (target && target !== page) {
    open(target);
    target.scrollIntoView();
    if (event) (target.querySelector("summary") ?? target).focus({ preventScroll: true });
  } else if (event) {
    scrollTo(0, 0);
    page.querySelector("h2").focus({ preventScroll: true });
  }
}

// Themes: as the system has it, or as chosen; the choice is kept where the browser lets a file keep one.
const themes = ["auto", "light", "dark"];
const button = document.getElementById("theme");

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  button.textContent = "Theme: " + theme;
}

function kept(theme) {
  try {
    if (theme) localStorage.setItem("lamobench-theme", theme);
    return localStorage.getItem("lamobench-theme");
  } catch {
    return theme; // a private window, or a file that may keep nothing
  }
}

button.addEventListener("click", () => {
  const theme = themes[(themes.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % themes.length];
  setTheme(theme);
  kept(theme);
});
const chosen = kept();
setTheme(themes.includes(chosen) ? chosen : "auto");
button.hidden = false;

// Sorting: by number where cells have numbers, else by text; what is unknown stays last either way.
function value(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.sort ?? cell.textContent.trim();
  const number = text === "" ? NaN : Number(text);
  return Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(table, column, heading) {
  const down = heading.getAttribute("aria-sort") === "ascending";
  for (const other of heading.parentElement.cells) {
    if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  }
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row, place) => ({ row, place, key: value(row, column) }));
  rows.sort((a, b) => {
    if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1;
    return (down ? compare(b.key, a.key) : compare(a.key, b.key)) || a.place - b.place;
  });
  table.tBodies[0].append(...rows.map((entry) => entry.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (heading.dataset.fixed !== undefined) return;
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.append(...heading.childNodes);
    heading.append(sorter);
    heading.setAttribute("aria-sort", "none");
    sorter.addEventListener("click", () => sort(table, column, heading));
  });
}

// Filters: a row is shown if it has every chosen value, and every word that was typed.
for (const form of document.querySelectorAll("form.filters")) {
  const table = document.getElementById(form.getAttribute("data-table")); // form.dataset would be its field of that name
  const rows = [...table.tBodies[0].rows];
  const said = form.querySelector("[role=status]");
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const apply = () => {
    const choices = [...form.querySelectorAll("select")].filter((select) => select.value !== "");
    const words = form.elements.words.value.toLowerCase().split(/\s+/);
    let count = 0;
    for (const row of rows) {
      const fits = choices.every((select) => row.dataset[select.name] === select.value);
      row.hidden = !(fits && words.every((word) => texts.get(row).includes(word)));
      count += row.hidden ? 0 : 1;
    }
    said.textContent = `${count} of ${rows.length} rows`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}

// Legends: each name becomes a button that hides the method in the figures of its section.
for (const legend of document.querySelectorAll(".legend")) {
  const figures = document.getElementById(legend.dataset.for);
  for (const item of legend.querySelectorAll("span[data-method]")) {
    const toggle = document.createElement("button");
    toggle.type = "button";
    toggle.dataset.method = item.dataset.method;
    toggle.setAttribute("aria-pressed", "true");
    toggle.append(...item.childNodes);
    item.replaceWith(toggle);
    toggle.addEventListener("click", () => {
      const shown = toggle.getAttribute("aria-pressed") !== "true";
      toggle.setAttribute("aria-pressed", String(shown));
      for (const series of figures.querySelectorAll("g.series")) {
        if (series.dataset.method === toggle.dataset.method) series.classList.toggle("dim", !shown);
      }
    });
  }
}

addEventListener("hashchange", route);
route();
