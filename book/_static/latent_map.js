// Interactive maps of a latent space (a2v_core/observations/interactive.py): a plotly figure beside a panel that draws
// the cell under the pointer. plotly.js lies beside this file and is loaded by pages with such a map only.
(() => {
  "use strict";
  const inPage = typeof document !== "undefined";
  const plotlyAddress = inPage && new URL("plotly.min.js", document.currentScript.src).href;
  const PAD = 255, COLUMN = 62, ROW = 52;

  const bytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  /** Array of a trace, which plotly's Python side writes in base64. */
  const numbers = (data) => {
    if (!data.bdata) return data;
    const kinds = {i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, f4: Float32Array};
    return new kinds[data.dtype](bytes(data.bdata).buffer);
  };

  /** Operation codes and edges [from, to] of each cell, padding left out. */
  function unpacker({nodes, ops, edges}) {
    const codes = bytes(ops), bits = bytes(edges), width = Math.ceil(nodes * (nodes - 1) / 16);
    return (cell) => {
      const own = codes.subarray(cell * nodes, (cell + 1) * nodes), found = [];
      let bit = 0;
      for (let i = 0; i < nodes; i++) {
        for (let j = i + 1; j < nodes; j++, bit++) {
          if (bits[cell * width + (bit >> 3)] >> (7 - bit % 8) & 1) found.push([i, j]);
        }
      }
      return {ops: Array.from(own).filter((code) => code !== PAD), edges: found};
    };
  }

  /** One layer for each step of the longest path from the input; an edge over several layers bends. */
  function drawing(cell, names, title) {
    const depth = cell.ops.map(() => 0), layers = [], place = [];
    for (const [i, j] of cell.edges) depth[j] = Math.max(depth[j], depth[i] + 1);
    depth.forEach((d, node) => (layers[d] = layers[d] || []).push(node));
    layers.forEach((layer, d) => layer.forEach((node, slot) => {
      place[node] = [(slot - (layer.length - 1) / 2) * COLUMN, d * ROW];
    }));
    const widest = Math.max(2, ...layers.map((layer) => layer.length)) * COLUMN;
    const lines = cell.edges.map(([i, j]) => {
      const [[x1, y1], [x2, y2]] = [place[i], place[j]], span = depth[j] - depth[i];
      const bend = span > 1 ? ((i + j) % 2 ? 0.35 : -0.35) * (y2 - y1) : 0;
      const [dx, dy] = [(x1 + x2) / 2 + bend - x2, (y1 + y2) / 2 - y2], length = Math.hypot(dx, dy);
      const [ex, ey] = [x2 + dx / length * 17, y2 + dy / length * 17];
      return `<path d="M${x1} ${y1}Q${(x1 + x2) / 2 + bend} ${(y1 + y2) / 2} ${ex} ${ey}" marker-end="url(#latent-map-tip)"/>`;
    });
    const boxes = cell.ops.map((code, node) => {
      const [x, y] = place[node];
      return `<rect x="${x - 20}" y="${y - 12}" width="40" height="24" rx="5"/><text x="${x}" y="${y + 4}">${names[code]}</text>`;
    });
    return `<svg role="img" aria-label="${title}" viewBox="${-widest / 2 - 20} -20 ${widest + 40} ${(layers.length - 1) * ROW + 40}">
      <defs><marker id="latent-map-tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0L8 4L0 8Z" class="tip"/></marker></defs>${lines.join("")}${boxes.join("")}</svg>`;
  }

  function sentence(cell, names) {
    const nodes = cell.ops.map((code, node) => `${node + 1} ${names[code]}`).join(", ");
    return `Nodes: ${nodes}. Edges: ${cell.edges.map(([i, j]) => `${i + 1} to ${j + 1}`).join(", ")}.`;
  }

  function show(box) {
    const {figure, cells, names} = JSON.parse(box.querySelector("script").textContent);
    const maps = figure.data.slice(0, -1), ring = maps.length, cellAt = unpacker(cells);
    const planes = maps.map((trace) => [numbers(trace.x), numbers(trace.y)]);
    const percent = numbers(maps[0].marker.color), rows = numbers({bdata: cells.rows, dtype: "i4"});
    if (!document.createElement("canvas").getContext("webgl")) figure.data.forEach((trace) => { trace.type = "scatter"; });
    maps.forEach((trace) => { trace.hoverinfo = "none"; delete trace.hovertemplate; });
    delete figure.layout.updatemenus;

    box.innerHTML = `<div class="controls"><label>Map <select>${maps.map((t) => `<option>${t.name}</option>`).join("")}</select></label>
      <label>Cell <input type="number" min="1" max="${cells.count}" value="1"></label></div>
      <div class="plot" role="img" aria-label="Map of the cells in two dimensions; each can be chosen by its number"></div><div class="panel"><div class="drawing"></div><p aria-live="polite"></p></div>`;
    const [plot, select, input] = [".plot", "select", "input"].map((name) => box.querySelector(name));
    let shown = 0, chosen = -1;

    const mark = () => Plotly.restyle(plot, {x: [[planes[shown][0][chosen]]], y: [[planes[shown][1][chosen]]]}, [ring]);
    const choose = (cell) => {
      if (cell === chosen || !(cell >= 0 && cell < cells.count)) return;
      chosen = cell;
      const drawn = cellAt(cell), title = `Row ${rows[cell].toLocaleString("en")}: test accuracy ${percent[cell].toFixed(2)} %.`;
      box.querySelector(".drawing").innerHTML = drawing(drawn, names, title);
      box.querySelector("p").innerHTML = `<strong>${title}</strong> ${sentence(drawn, names)}`;
      input.value = cell + 1;
      mark();
    };
    const ink = () => {
      const {color} = getComputedStyle(box);
      Plotly.update(plot, {"marker.color": color}, {"font.color": color}, [ring]);
    };

    Plotly.newPlot(plot, figure.data, figure.layout, {
      responsive: true, displaylogo: false, modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
    }).then(() => {
      plot.on("plotly_hover", (event) => choose(event.points[0].pointNumber));
      plot.on("plotly_click", (event) => choose(event.points[0].pointNumber));
      select.addEventListener("change", () => {
        shown = select.selectedIndex;
        Plotly.restyle(plot, {visible: maps.map((_, i) => i === shown)}, maps.map((_, i) => i));
        mark();
      });
      input.addEventListener("input", () => choose(input.valueAsNumber - 1));
      new MutationObserver(ink).observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
      ink();
      choose(0);
    });
  }

  function start() {
    const boxes = document.querySelectorAll(".latent-map");
    if (!boxes.length) return;
    // plotly.js would hand itself to a module loader that another script has brought.
    const loader = window.define;
    window.define = undefined;
    const script = document.createElement("script");
    script.src = plotlyAddress;
    script.onload = () => { window.define = loader; boxes.forEach(show); };
    script.onerror = () => { window.define = loader; };
    document.head.append(script);
  }

  if (!inPage) module.exports = {numbers, unpacker, drawing, sentence}; // for the tests
  else if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
