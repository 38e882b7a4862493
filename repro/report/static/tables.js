"use strict";
// Sorts tables by any column, saves them as CSV, and filters the table of claims; what is chosen stands in the address.

function sortable(table) {
  const original = [...table.tBodies].map((body) => [body, [...body.rows]]);

  function key(row, column) {
    const cell = row.cells[column];
    const shown = (cell.querySelector("b") ?? cell).textContent.trim();
    const number = Number(cell.dataset.value ?? shown.replace("−", "-").replace("∞", "Infinity"));
    return { number: shown === "" || Number.isNaN(number) ? null : number, text: cell.textContent };
  }

  function compare(a, b) {
    if (a.number !== null && b.number !== null) return a.number - b.number;
    if (a.number !== null || b.number !== null) return a.number !== null ? -1 : 1;
    return a.text.localeCompare(b.text);
  }

  function sort(column, direction) {
    for (const [body, rows] of original) body.append(...rows);
    const groups = table.querySelectorAll("tr.group");
    for (const group of groups) group.hidden = direction !== "none";
    if (direction === "none") return;
    const rows = original.flatMap(([, members]) => members).filter((row) => !row.matches(".group"));
    const keyed = rows.map((row) => [key(row, column), row]);
    const sign = direction === "ascending" ? 1 : -1;
    keyed.sort(([a], [b]) => sign * compare(a, b));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  }

  const next = { none: "ascending", ascending: "descending", descending: "none" };
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const direction = next[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", direction);
      sort(column, direction);
    });
  });
}

function downloadable(table) {
  function field(cell) {
    return `"${cell.innerText.trim().replace(/\s+/g, " ").replaceAll('"', '""')}"`;
  }

  const button = document.createElement("button");
  button.type = "button";
  button.className = "csv";
  button.textContent = "Table as CSV";
  button.addEventListener("click", () => {
    const rows = [...table.rows].filter((row) => !row.hidden && !row.matches(".group"));
    const lines = rows.map((row) => [...row.cells].map(field).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/csv" }));
    link.download = `${document.title.split(" – ")[0]}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  (table.closest(".scroll") ?? table).after(button);
}

function filterable(form, table) {
  const rows = [...table.querySelectorAll("tr[data-source]")];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const output = form.querySelector("output");

  function matches(row, wanted) {
    const words = (wanted.get("text") ?? "").toLowerCase().split(/\s+/);
    const own = {
      module: [row.querySelector(".id").textContent.split(".")[0]],
      verdict: [...row.querySelector(".status").classList],
      sound: [row.querySelector(".sound, .unsound, .marked, .undecided").className],
      source: row.dataset.source.split(" "),
    };
    return (
      Object.entries(own).every(([name, values]) => !wanted.get(name) || values.includes(wanted.get(name))) &&
      words.every((word) => texts.get(row).includes(word))
    );
  }

  function apply() {
    const wanted = new URLSearchParams(new FormData(form));
    let shown = 0;
    for (const row of rows) {
      row.hidden = !matches(row, wanted);
      shown += !row.hidden;
    }
    for (const body of table.tBodies) {
      const members = [...body.rows].filter((row) => !row.matches(".group"));
      body.classList.toggle("empty", members.every((row) => row.hidden));
    }
    output.textContent = `${shown} of ${rows.length} claims`;
    for (const [name, value] of [...wanted]) if (!value) wanted.delete(name);
    const address = wanted.size ? `#${wanted}` : location.pathname + location.search;
    history.replaceState(null, "", address);
  }

  for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
    if (form.elements[name]) form.elements[name].value = value;
  }
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    apply();
  });
  form.hidden = false;
  apply();
}

for (const table of document.querySelectorAll("table.sortable")) sortable(table);
for (const table of document.querySelectorAll("table")) downloadable(table);
const form = document.querySelector("form.filters");
if (form) filterable(form, document.querySelector("table.claims"));
