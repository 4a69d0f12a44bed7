"use strict";
// Asks the watch what is new, and draws it. Words come as text and stay text.
const GAP = 1, SIDE = 560;
const at = (id) => document.getElementById(id);

function draw(told) {
  const bytes = Uint8Array.from(atob(told.light), (c) => c.charCodeAt(0));
  const canvas = at("light"), size = Math.max(2, Math.floor(SIDE / Math.max(told.width, told.height)));
  const gap = size >= 6 ? GAP : 0;
  if (canvas.width !== told.width * size || canvas.height !== told.height * size) {
    canvas.width = told.width * size;
    canvas.height = told.height * size;
  }
  const brush = canvas.getContext("2d");
  for (let n = 0; n < told.width * told.height; n++) {
    brush.fillStyle = `rgb(${bytes[3 * n]},${bytes[3 * n + 1]},${bytes[3 * n + 2]})`;
    brush.fillRect((n % told.width) * size, Math.floor(n / told.width) * size, size - gap, size - gap);
  }
}

function fill(body, lines) {
  body.replaceChildren(...lines.map((cells) => {
    const row = document.createElement("tr");
    for (const [text, look] of cells) {
      const cell = document.createElement("td");
      cell.textContent = text;
      if (look) cell.className = look;
      row.append(cell);
    }
    return row;
  }));
}

async function ask() {
  try {
    const told = await (await fetch("status")).json();
    if (told) {
      at("title").textContent = told.title;
      document.title = told.title;
      at("about").textContent = `${told.grid} cells   ${told.seconds.toFixed(1)} s`;
      draw(told);
      const look = (style) => style.includes("red") ? "bad" : style === "green" ? "good" : "";
      fill(at("figures"), told.rows.map(([name, words, style]) => [[name], [words, look(style)]]));
      fill(at("trouble"), told.trouble.map((one) => [[one.tile], [one.port], [one.what]]));
      at("troubles").hidden = told.trouble.length === 0;
    }
    at("lost").hidden = true;
  } catch {
    at("lost").hidden = false;
  }
  setTimeout(ask, 250);
}

ask();
