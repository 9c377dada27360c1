// Marked spans: types that can be hidden, rows that lead to their mark, and downloads.
(() => {
  const { say, el } = npw;
  const hidden = new Set();

  const rows = () => JSON.parse(document.querySelector("#result .np-spans")?.dataset.spans ?? "[]");
  const bare = (label) => label.replace(/^[BIESLU]-/, "");
  const table = () => [...document.querySelectorAll("#result-tail table tr")];

  const apply = () => {
    document.querySelectorAll("#result .np-type").forEach((chip) => chip.setAttribute("aria-pressed", String(!hidden.has(chip.dataset.type))));
    document.querySelectorAll("#marked .token.highlighted").forEach((mark) => {
      mark.classList.toggle("np-type-off", hidden.has(mark.querySelector(".label")?.textContent));
    });
    const typed = document.querySelector("#result .np-type");
    const spans = typed ? rows() : [];
    if (typed) table().slice(1).forEach((row, place) => { row.hidden = hidden.has(spans[place]?.type); });
  };

  document.addEventListener("click", (event) => {
    const chip = event.target.closest?.("#result .np-type");
    if (!chip) return;
    const { type } = chip.dataset;
    if (!hidden.delete(type)) hidden.add(type);
    apply();
  });
  // A row with a mark leads to it; its text is a button, for the keyboard.
  const marked = () => JSON.parse(document.querySelector("#result .np-spans")?.dataset.marked ?? "[]");
  npTools.add(() => marked().forEach((mark, place) => {
    const cell = table()[place + 1]?.cells[1];
    if (mark === null || !cell || cell.querySelector("button")) return;
    cell.parentElement.classList.add("np-row-marked");
    cell.replaceChildren(el("button", { type: "button", class: "np-to-mark", title: say("to_mark") }, cell.textContent));
  }));
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.("#result-tail .np-row-marked");
    if (!row) return;
    const marks = [...document.querySelectorAll("#marked .token.highlighted")];
    const mark = marks[marked()[row.rowIndex - 1]];
    marks.forEach((one) => one.classList.toggle("np-mark-found", one === mark));
    mark?.scrollIntoView({ block: "center" });
  });

  // The minimum score is a line on the bars.
  npTools.add(() => {
    const least = Number(nplug.value("min_score"));
    const bars = document.querySelector("#result .np-bars");
    if (!bars || !(least > 0 && least <= 1)) return;
    bars.style.setProperty("--np-threshold", `${100 * least}%`);
    bars.title = say("least_score", { score: least });
  });

  // Gradio draws the marks after the answer.
  new MutationObserver(() => document.querySelector("#result .np-type") && hidden.size && apply())
    .observe(document.body, { childList: true, subtree: true });

  const cell = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  const csv = (all) => {
    const names = [...new Set(all.flatMap((row) => Object.keys(row)))];
    return [names, ...all.map((row) => names.map((name) => row[name]))].map((line) => line.map(cell).join(",")).join("\r\n");
  };
  const escaped = (text) => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
  const page = (all, text) => {
    const letters = [...text];
    let done = 0;
    const parts = [];
    [...all].sort((a, b) => a.start - b.start).forEach((row) => {
      if (row.start < done) return;
      const name = String(row.type ?? row.rank ?? "");
      parts.push(escaped(letters.slice(done, row.start).join("")), `<mark title="${escaped(name)}">${escaped(letters.slice(row.start, row.end).join(""))} <small>${escaped(name)}</small></mark>`);
      done = row.end;
    });
    parts.push(escaped(letters.slice(done).join("")));
    return `<!doctype html><meta charset="utf-8"><title>${escaped(nplug.form.task)}</title><p style="white-space:pre-wrap;font:1rem/2 sans-serif">${parts.join("")}</p>`;
  };

  npTools.add(() => {
    const found = document.querySelector("#result .np-spans");
    const bar = document.getElementById("np-export");
    if (!found) { if (bar) bar.hidden = true; return; }
    npTools.place("np-export", () => {
      const name = nplug.form.task;
      const kept = () => rows().filter((row) => !hidden.has(row.type));
      const button = (kind, type, make) => el("button", { type: "button", class: "np-button", "data-export": kind, onclick: () => npTools.save(`${name}.${kind}`, type, make()) }, kind.toUpperCase());
      const text = () => document.querySelector("#result .np-spans").dataset.text;
      return el("div", { class: "np-w-line", role: "group", "aria-label": say("download") }, el("span", { class: "np-w-info" }, say("download")),
        button("json", "application/json", () => JSON.stringify({ text: text(), spans: kept() }, null, 2)), button("csv", "text/csv", () => csv(kept())), button("html", "text/html", () => page(kept(), text())));
    }).hidden = !rows().length;
    apply();
  });
})();
