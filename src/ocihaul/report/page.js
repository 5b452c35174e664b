"use strict";
// What a pointer or the keyboard is at, and zoom. Without it the page says all of the same.
(() => {
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  const MOST_ZOOM = 64, tip = document.getElementById("tip");
  const two = n => String(n).padStart(2, "0");
  const clock = (seconds, digits) => {
    const t = ((seconds % 86400) + 86400) % 86400, s = Math.floor(t % 60);
    const rest = digits ? "." + Math.floor((t % 1) * 10) : "";
    return `${two(Math.floor(t / 3600))}:${two(Math.floor(t / 60) % 60)}:${two(s)}${rest}`;
  };
  const lasted = s => s < 60 ? `${s.toFixed(1)} s` : s < 3600 ? `${Math.floor(s / 60)} min ${two(Math.floor(s % 60))} s`
    : `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  const sized = n => {
    for (const unit of ["bytes", "KiB", "MiB", "GiB"]) {
      if (n < 1024) return unit === "bytes" ? `${Math.round(n)} ${unit}` : `${n.toFixed(1)} ${unit}`;
      n /= 1024;
    }
    return `${n.toFixed(1)} TiB`;
  };

  function show(chart) {
    const data = chart.dataset, length = Number(data.length), began = Number(data.began);
    const rates = data.rates ? data.rates.split(" ").map(Number) : [], width = Number(data.width);
    const tokens = data.tokens ? data.tokens.split(" ").map(each => each.split(":").map(Number)) : [];
    const scroll = chart.querySelector(".scroll"), inner = chart.querySelector(".inner");
    const axis = inner.querySelector(".axis"), lanes = inner.querySelector(".lanes svg");
    const rows = chart.parentElement.querySelectorAll("table.list tbody tr");
    const segments = [...chart.querySelectorAll(".lanes path")].flatMap(path => {
      const about = path.dataset.about.split("\n"), {connection} = path.dataset;
      let size = 0;
      return [...path.getAttribute("d").matchAll(/M([\d.]+) (\d+)h([\d.]+)/g)].map((found, index) => {
        const [label, bytes, seconds, count] = about[index].split("\t");
        if (bytes) size = Number(bytes);
        const what = /^\d+$/.test(label) ? `part ${label}` : label;
        const text = `${connection ? `#${connection} ` : ""}${count ? `${count} from ${what} on` : what}, ${sized(size)} in `
          + `${lasted(Number(seconds))}${path.classList.contains("x") ? ", failed" : ""}`;
        return {x: +found[1], y: +found[2], end: +found[1] + +found[3], text};
      });
    });
    const cross = document.createElement("div");
    cross.className = "cross";
    cross.hidden = true;
    inner.append(cross);
    let zoom = 1, at = null, from = null, select = null;

    function ticks() {
      const step = STEPS.find(each => length / zoom / each <= 5) || 86400 * Math.ceil(length / zoom / 432000);
      const left = (scroll.scrollLeft / inner.clientWidth) * length, right = left + length / zoom;
      const made = [];
      for (let t = Math.ceil((began + left) / step) * step - began; t < right; t += step) {
        const label = document.createElement("span"), text = clock(began + t + 1e-6, step < 1);
        label.textContent = step < 60 ? text : text.slice(0, 5);
        label.style.left = `${(100 * t) / length}%`;
        made.push(label);
      }
      axis.replaceChildren(...made);
    }

    function zoomTo(next, fraction, offset) {
      zoom = Math.min(MOST_ZOOM, Math.max(1, next));
      inner.style.setProperty("--zoom", zoom);
      scroll.scrollLeft = fraction * inner.clientWidth - offset;
      chart.dataset.zoom = zoom;
      ticks();
    }

    function zoomBy(factor) {
      const middle = (scroll.scrollLeft + scroll.clientWidth / 2) / inner.clientWidth;
      zoomTo(zoom * factor, at === null ? middle : at / length, scroll.clientWidth / 2);
    }

    function hide() {
      tip.hidden = cross.hidden = true;
    }

    function say(t, y, x, top) {
      at = Math.min(length, Math.max(0, t));
      cross.hidden = false;
      cross.style.left = `${(100 * at) / length}%`;
      const lines = [`${clock(began + at, length < 600)}, ${at.toFixed(at < 100 ? 1 : 0)} s after the beginning`];
      const rate = rates[Math.floor(at / width)];
      if (rate !== undefined) lines.push(`${sized(rate * 1024)}/s`);
      const token = tokens.filter(each => each[0] <= at).pop();
      if (token) lines.push(`token ${token[1]}`);
      const near = 7 / inner.clientWidth;
      for (const mark of inner.querySelectorAll(".marks b")) {
        if (Math.abs(parseFloat(mark.style.left) / 100 - at / length) > near) continue;
        const row = rows[Number(mark.dataset.row)];
        lines.push(`${mark.textContent} ${row && row.cells[2] ? row.cells[2].textContent : "see the list"}`);
      }
      if (y !== null && lanes) {
        const box = lanes.getBoundingClientRect(), unit = (1000 * at) / length;
        const lane = ((y - box.top) / box.height) * lanes.viewBox.baseVal.height;
        const slack = 1500 / inner.clientWidth;
        const over = segments.filter(each => Math.abs(each.y - lane) <= 4 && each.x - slack <= unit && unit <= each.end + slack);
        if (over.length) lines.push(over[0].text);
      }
      tip.textContent = lines.slice(0, 9).join("\n");
      tip.hidden = false;
      const wide = tip.offsetWidth, high = tip.offsetHeight;
      tip.style.left = `${Math.max(4, Math.min(x + 14, document.documentElement.clientWidth - wide - 4))}px`;
      tip.style.top = `${top - high - 10 > 0 ? top - high - 10 : top + 24}px`;
    }

    const time = event => {
      const box = inner.getBoundingClientRect();
      return (length * (event.clientX - box.left)) / box.width;
    };
    scroll.addEventListener("pointermove", event => {
      say(time(event), event.clientY, event.clientX, event.clientY);
      if (from === null) return;
      if (select === null) {
        select = document.createElement("div");
        select.className = "select";
        inner.append(select);
      }
      const [left, right] = [from, at].sort((a, b) => a - b);
      select.style.left = `${(100 * left) / length}%`;
      select.style.width = `${(100 * (right - left)) / length}%`;
    });
    scroll.addEventListener("pointerdown", event => {
      if (event.pointerType === "mouse" && event.button === 0) from = time(event);
      else say(time(event), event.clientY, event.clientX, event.clientY);
    });
    const release = () => {
      if (select !== null) {
        select.remove();
        const [left, right] = [from, at].sort((a, b) => a - b);
        if ((right - left) / length > 0.004 / zoom) zoomTo(length / (right - left), left / length, 0);
      }
      from = select = null;
    };
    addEventListener("pointerup", release);
    scroll.addEventListener("pointerleave", hide);
    scroll.addEventListener("blur", hide);
    scroll.addEventListener("dblclick", () => zoomTo(1, 0, 0));
    scroll.addEventListener("scroll", ticks, {passive: true});
    scroll.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const box = scroll.getBoundingClientRect();
      zoomTo(zoom * (event.deltaY < 0 ? 1.25 : 0.8), time(event) / length, event.clientX - box.left);
    }, {passive: false});
    scroll.addEventListener("keydown", event => {
      const step = length / zoom / 50, now = at === null ? 0 : at;
      if (event.key === "+" || event.key === "=") zoomBy(2);
      else if (event.key === "-") zoomBy(0.5);
      else if (event.key === "0") zoomTo(1, 0, 0);
      else if (event.key === "Escape") return hide();
      else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
        const next = Math.min(length, Math.max(0, now + (event.key === "ArrowRight" ? step : -step)));
        const x = (next / length) * inner.clientWidth;
        if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - scroll.clientWidth / 2;
        const box = inner.getBoundingClientRect();
        say(next, null, box.left + x, box.top + 30);
      } else return;
      event.preventDefault();
    });
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "application");
    scroll.setAttribute("aria-label", "Timeline: arrows move along it, plus and minus zoom, 0 shows all");

    const buttons = document.createElement("span");
    buttons.className = "zoom";
    for (const [label, title, act] of [
      ["−", "Zoom out", () => zoomBy(0.5)], ["+", "Zoom in", () => zoomBy(2)], ["all", "Show all", () => zoomTo(1, 0, 0)]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.title = title;
      button.setAttribute("aria-label", title);
      button.addEventListener("click", act);
      buttons.append(button);
    }
    chart.querySelector("figcaption").append(buttons);
    chart.dataset.zoom = 1;
  }

  document.querySelectorAll(".chart").forEach(show);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(each => { each.open = true; }));
})();
