// Tables that sort: a click on the head of a column, or Enter on it, sorts by it upwards, then downwards, then not at all.
// Every table of a page with a head of its own, rows to sort and no merged columns is made so; nothing else is loaded.
(() => {
  "use strict";
  const MISSING = new Set(["", "-", "–", "—", "nan", "NaN"]);
  const SECONDS = {s: 1, min: 60, h: 3600, d: 86400};
  const NUMBER = /^[[(<>≤≥≈~=\s]*([+-]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?)/i;
  const ORDER = new Intl.Collator("en", {numeric: true});

  /** The number that a cell begins with, NaN where it begins with none. Of intervals and "mean ± deviation" the first. */
  function number(text) {
    // Thin and no-break spaces between digits separate thousands; a minus is written in several ways.
    const plain = text.trim().replace(/(\d)[\u2009\u202f\u00a0](?=\d{3}(?!\d))/g, "$1").replace(/[−–‒](?=[\d.])/g, "-");
    const time = plain.match(/^(?:\d+(?:\.\d+)? (?:d|h|min|s)\b ?)+/);
    if (time) return time[0].split(/(?<=[a-z]) /).reduce((sum, part) => {
      const [amount, unit] = part.trim().split(" ");
      return unit ? sum + amount * SECONDS[unit] : sum;
    }, 0);
    const found = plain.match(NUMBER)[1].replaceAll(",", "");
    return /\d/.test(found) ? Number(found) : NaN;
  }

  /** Order of rows by the texts of one column: numbers by value if most are numbers; what is missing stays at the end. */
  function order(texts, downwards) {
    const sign = downwards ? -1 : 1, missing = texts.map((text) => MISSING.has(text.trim()));
    const values = texts.map(number), present = texts.map((_, row) => row).filter((row) => !missing[row]);
    const numeric = present.filter((row) => !Number.isNaN(values[row])).length * 2 > present.length;
    present.sort((a, b) => {
      const lone = numeric ? Number.isNaN(values[a]) - Number.isNaN(values[b]) : 0;
      const differ = numeric && !lone && !Number.isNaN(values[a]) ? values[a] - values[b] : 0;
      return lone || sign * (differ || ORDER.compare(texts[a], texts[b])) || a - b;
    });
    return [...present, ...texts.map((_, row) => row).filter((row) => missing[row])];
  }

  /** Copies of rows in which a cell over several rows stands in each of them. */
  function flat(rows) {
    const open = [];
    return rows.map((row) => {
      const cells = [...row.cells].map((cell) => cell.cloneNode(true)), copy = row.cloneNode(false);
      for (let column = 0; cells.length || open[column]?.left; column++) {
        if (open[column]?.left) {
          open[column].left--;
          copy.append(open[column].cell.cloneNode(true));
          continue;
        }
        const cell = cells.shift();
        open[column] = {cell, left: cell.rowSpan - 1};
        cell.removeAttribute("rowspan");
        copy.append(cell);
      }
      return copy;
    });
  }

  const isTotal = (row) => {
    const filled = [...row.cells].filter((cell) => cell.textContent.trim());
    return filled.length > 1 && filled.every((cell) => cell.querySelector("strong")?.textContent === cell.textContent.trim());
  };

  function prepare(table) {
    const [body] = table.tBodies, heads = table.tHead ? [...table.tHead.rows] : [];
    if (!heads.length || table.tBodies.length !== 1 || table.rows.length < heads.length + 3) return;
    if ([...table.querySelectorAll("[colspan]")].some((cell) => cell.colSpan > 1)) return;
    const printed = [...body.rows], spans = printed.some((row) => [...row.cells].some((cell) => cell.rowSpan > 1));
    const rows = spans ? flat(printed) : printed, last = rows.filter(isTotal), sorted = rows.filter((row) => !isTotal(row));
    // A frame of pandas with named rows has a second row of heads; a column is called what stands lowest.
    const columns = Array.from({length: heads[0].cells.length}, (_, column) =>
      heads.map((row) => row.cells[column]).findLast((cell) => cell?.textContent.trim()) || heads[0].cells[column]);
    for (const [column, head] of columns.entries()) {
      if (!head || head.querySelector("a, button")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      if (!head.textContent.trim()) button.setAttribute("aria-label", "first column");
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = {none: "ascending", ascending: "descending"}[head.getAttribute("aria-sort") || "none"] || "none";
        columns.forEach((other) => other?.removeAttribute("aria-sort"));
        if (now === "none") return body.replaceChildren(...printed);
        head.setAttribute("aria-sort", now);
        const texts = sorted.map((row) => row.cells[column]?.textContent || "");
        body.replaceChildren(...order(texts, now === "descending").map((row) => sorted[row]), ...last);
      });
    }
    table.classList.add("sortable");
  }

  /** Lines of a table's cell break before an interval and before a number with its deviation, not inside of them. */
  function keepTogether(table) {
    const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const text = texts.currentNode;
      text.data = text.data.replace(/ ± /g, "\u00a0±\u00a0").replace(/\[([^\s\[\],]+), ([^\s\[\],]+)\]/g, "[$1,\u00a0$2]");
    }
  }

  /** Boxes that scroll sideways can be reached and scrolled with the keyboard. */
  function reachable() {
    document.querySelectorAll(".pst-scrollable-table-container, .bd-article .cell_output").forEach((box) => {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    });
  }

  function start() {
    document.querySelectorAll(".bd-article table").forEach((table) => {
      keepTogether(table);
      prepare(table);
    });
    reachable();
    addEventListener("resize", reachable);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
