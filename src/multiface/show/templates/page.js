"use strict";
for (const slide of document.querySelectorAll(".slide")) {
  const range = slide.querySelector("input");
  range.addEventListener("input", () => slide.style.setProperty("--at", range.value + "%"));
  // The arrow keys of the browser would move by one step of 0.1; a person wants to see something happen.
  range.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 }[event.key];
    if (!step) return;
    event.preventDefault();
    range.value = Number(range.value) + step;
    range.dispatchEvent(new Event("input"));
  });
}

const full = document.getElementById("full");
for (const button of document.querySelectorAll(".zoom")) {
  button.addEventListener("click", () => {
    const picture = button.querySelector("img");
    full.querySelector("img").src = picture.src;
    full.querySelector("img").alt = picture.alt;
    full.showModal();
  });
}
full.addEventListener("click", () => full.close());

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    } catch {  // no permission: select it, so that the usual keys copy it
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    }
  });
}

for (const chart of document.querySelectorAll(".chart[data-chart]")) {
  const lines = JSON.parse(chart.dataset.chart);
  const cross = chart.querySelector(".cross");
  const tip = chart.parentElement.querySelector(".tip");
  const nearest = (points, at) => points.reduce((best, point) => Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best);
  const hide = () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); };
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const scale = chart.viewBox.baseVal.width / box.width;
    const at = nearest(lines.map((line) => nearest(line.points, (event.clientX - box.left) * scale)), (event.clientX - box.left) * scale);
    cross.setAttribute("x1", at[0]);
    cross.setAttribute("x2", at[0]);
    cross.setAttribute("visibility", "visible");
    const head = document.createElement("b");
    head.textContent = at[1];
    tip.replaceChildren(head, ...lines.map((line) => {
      const row = document.createElement("div");
      const mark = document.createElement("i");
      row.className = line.style;
      row.append(mark, `${line.name}  ${nearest(line.points, at[0])[2]}`);
      return row;
    }));
    tip.hidden = false;
    const place = at[0] / scale;
    tip.style.left = place > box.width / 2 ? `${place - tip.offsetWidth - 14}px` : `${place + 14}px`;
  });
  chart.addEventListener("pointerleave", hide);
}

if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  for (const video of document.querySelectorAll("video[autoplay]")) { video.autoplay = false; video.pause(); }
}
