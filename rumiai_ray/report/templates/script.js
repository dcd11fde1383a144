// Moves through time on a video's page; sorts and filters on a run's page. Everything is readable without it.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);

  const table = byId("videos");
  if (table) {
    const body = table.tBodies[0];
    const value = (row, column) => row.cells[column].dataset.sort;
    const compare = (a, b) => {
      const [x, y] = [Number(a), Number(b)];
      return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
    };
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((one, other) => {
          const [a, b] = [value(one, column), value(other, column)];
          if (a === undefined || b === undefined) return (a === undefined) - (b === undefined); // absent comes last
          return down ? compare(b, a) : compare(a, b);
        });
        body.append(...rows);
      });
    });
    // What a row says, without the command that writes its page: no video is looked for by that.
    const said = (node) => (node.matches?.(".how") ? "" : node.childNodes.length ? [...node.childNodes].map(said).join("") : node.textContent);
    byId("find").addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      for (const row of body.rows) row.hidden = !said(row).toLowerCase().includes(wanted);
    });
  }

  const scrub = byId("scrub");
  if (!scrub) return;
  const main = byId("main");
  const duration = Number(main.dataset.duration);
  const step = Number(main.dataset.step);
  const frames = [...byId("sheet").querySelectorAll("button")];
  const times = frames.map((frame) => Number(frame.dataset.t));
  const untils = frames.map((frame) => Number(frame.dataset.until ?? frame.dataset.t)); // unknown where there are no pictures
  const words = [...byId("transcript").querySelectorAll(".word")];
  const screen = byId("screen");
  const timeline = byId("timeline");
  const inner = timeline.firstElementChild;
  let now = 0;
  let current = -1;
  let playing = 0;

  inner.style.minWidth = `${Math.min(16000, Math.round(duration * 52))}px`; // room for words

  const last = times.length - 1;

  // Whether a frame is on the screen at a moment. One that is held is sampled once, however long it stays.
  const isHeld = (index, time) => times[index] <= time && (time < untils[index] || (index === last && time === untils[index]));

  // Whether a frame stands for a moment: it is on the screen then, or less than the next sample's distance away. The last one may be a
  // step away, since nothing follows it.
  const isOf = (index, time) => isHeld(index, time) || Math.abs(times[index] - time) <= (index === last && time > times[index] ? 1.05 : 0.75) * step;

  const least = (distance) => times.reduce((best, _, index) => (best < 0 || distance(index) < distance(best) ? index : best), -1);

  const nearest = (time) => {
    const held = times.findIndex((_, index) => isHeld(index, time));
    if (held >= 0) return held;
    const sampled = least((index) => Math.abs(times[index] - time));
    if (sampled < 0 || isOf(sampled, time)) return sampled;
    return least((index) => Math.max(times[index] - time, time - untils[index])); // from when it came or went
  };

  const telling = (index, near) => {
    if (!screen) return near ? "" : "No frame near this moment has findings.";
    if (!near) return `There is no picture of this moment. The nearest one, of ${times[index].toFixed(2)} s, is shown dimmed.`;
    return Math.abs(times[index] - now) < 0.005 ? "" : `The frame shown is that of ${times[index].toFixed(2)} s.`;
  };

  const show = (time, follow = true) => {
    now = Math.min(Math.max(time, 0), duration);
    scrub.value = now;
    scrub.setAttribute("aria-valuetext", `${now.toFixed(2)} seconds`);
    byId("time").textContent = `${now.toFixed(2)} s`;
    byId("playhead").style.left = `${(100 * now) / duration}%`;
    const index = nearest(now);
    const near = index >= 0 && isOf(index, now);
    if (index !== current) {
      if (current >= 0) frames[current].removeAttribute("aria-current");
      current = index;
      if (index >= 0) {
        frames[index].setAttribute("aria-current", "true");
        if (screen) screen.src = frames[index].querySelector("img").src;
      }
    }
    if (screen) screen.classList.toggle("elsewhere", !near);
    byId("shown").textContent = telling(index, near);
    byId("facts").replaceChildren(...(near ? [...frames[index].querySelector("dl").cloneNode(true).childNodes] : []));
    let said = [];
    for (const word of words) {
      const on = Number(word.dataset.t) <= now && now < Number(word.dataset.e);
      word.classList.toggle("on", on);
      if (on) said = [...word.parentNode.querySelectorAll(".word")];
    }
    byId("said").replaceChildren(...said.map((word) => {
      const copy = document.createElement(word.classList.contains("on") ? "mark" : "span");
      copy.textContent = `${word.textContent} `;
      return copy;
    }));
    if (follow) {
      const x = (inner.offsetWidth * now) / duration;
      if (x < timeline.scrollLeft + 40 || x > timeline.scrollLeft + timeline.clientWidth - 40) timeline.scrollLeft = x - timeline.clientWidth / 3;
    }
  };

  const move = (by) => {
    const next = times[current + by];
    show(next === undefined ? now + by * step : next);
  };

  const stop = () => {
    cancelAnimationFrame(playing);
    playing = 0;
    byId("play").textContent = "Play";
    byId("play").setAttribute("aria-pressed", "false");
  };

  const play = () => {
    if (playing) return stop();
    if (now >= duration - step / 2) show(0);
    let before = performance.now();
    const tick = (at) => {
      show(now + (at - before) / 1000);
      before = at;
      if (now >= duration) return stop();
      playing = requestAnimationFrame(tick);
    };
    playing = requestAnimationFrame(tick);
    byId("play").textContent = "Pause";
    byId("play").setAttribute("aria-pressed", "true");
  };

  scrub.addEventListener("input", () => show(Number(scrub.value)));
  scrub.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (by) {
      event.preventDefault();
      move(by);
    }
  });
  byId("back").addEventListener("click", () => move(-1));
  byId("forth").addEventListener("click", () => move(1));
  byId("play").addEventListener("click", play);
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-t]");
    if (target) show(Number(target.dataset.t));
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, button, summary, a, pre, [role=region]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight") move(1);
    else if (event.key === "ArrowLeft") move(-1);
    else if (event.key === " ") play();
    else return;
    event.preventDefault();
  });
  timeline.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by) {
      event.preventDefault();
      move(by);
    }
  });

  const point = (event) => show(((event.clientX - inner.getBoundingClientRect().left) / inner.offsetWidth) * duration, false);
  inner.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    point(event);
    if (event.pointerType === "mouse") inner.setPointerCapture(event.pointerId); // a finger scrolls
  });
  inner.addEventListener("pointermove", (event) => {
    if (inner.hasPointerCapture(event.pointerId)) point(event);
  });
  show(Number(new URLSearchParams(location.hash.slice(1)).get("t")) || 0);
})();
