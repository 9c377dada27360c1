// The pages of data sets: the list, the rows of one, and labelling.
npw.datasets = (() => {
  const { say, el, get, post, remove, path, button, field, input, select, deleting, messages, title } = npw;
  const PAGE = 50;

  const list = (overview, refresh) => {
    const note = messages();
    const name = input("np-data-name", { required: true });
    const task = select("np-data-task", overview.tasks.map((one) => [one.name, title(one.title)]), "");
    const create = note.trying(async () => {
      await post(path("datasets"), { name: name.value.trim(), task: task.value });
      location.hash = `#/data/${name.value.trim()}`;
    });
    const rows = overview.datasets.map((data) => el("li", { class: "np-w-item" },
      el("a", { href: `#/data/${data.name}` }, data.name),
      el("span", {}, npw.taskTitle(overview, data.task)),
      el("span", { class: "np-w-number" }, [say("rows", { n: data.rows }), data.unlabelled ? say("unlabelled", { n: data.unlabelled }) : ""].filter(Boolean).join(" · ")),
      data.usable ? el("a", { href: `#/train/${data.name}` }, say("train")) : el("span", {}),
      deleting(say("delete_data", { name: data.name }), note.trying(async () => { await remove(path("datasets", data.name)); refresh(); }))));
    return el("section", { class: "np-card" }, el("h2", {}, say("datasets")),
      rows.length ? el("ul", { class: "np-w-list" }, rows) : el("p", { class: "np-w-info" }, say("no_data")),
      el("form", { class: "np-w-line", onsubmit: (event) => { event.preventDefault(); create(); } },
        field("new_data", name), field("task", task), el("button", { class: "np-button", id: "np-data-create" }, say("create"))),
      note.line);
  };

  // A cell of at most twelve lines; the editor has the whole text.
  const shortened = (attributes, ...content) => el("td", attributes, el("div", { class: "np-w-short", dir: "auto" }, ...content));

  const shownValue = (kind, marked, row) => {
    const text = String(row.fields[marked] ?? "");
    if (kind === "label") return [shortened({}, text), el("td", {}, row.labels.map((name) => el("span", { class: "np-chip", dir: "auto" }, name)))];
    if (kind === "text") return [shortened({}, text), shortened({}, row.value ?? "")];
    const letters = [...text];
    const spans = kind === "spans" ? row.value ?? [] : row.value ? [row.value] : [];
    const parts = [];
    let done = 0;
    spans.forEach((span) => {
      parts.push(letters.slice(done, span.start).join(""), el("mark", { class: "np-w-span", "data-label": span.label ?? "" }, letters.slice(span.start, span.end).join("")));
      done = span.end;
    });
    const cell = shortened({ colspan: kind === "spans" ? 2 : 1 }, ...parts, letters.slice(done).join(""));
    return kind === "spans" ? [cell] : [el("td", { dir: "auto" }, row.fields.question ?? ""), cell];
  };

  // The widths of the columns: a long word or an open editor does not change them.
  const columns = (kind) => el("colgroup", {}, ["pick", "main", kind === "label" ? "label" : "main", "edit"].map((name) => el("col", { class: `np-w-col-${name}` })));

  // An editor of one row, with its buttons.
  const editing = (view, row, known, save, cancel) => {
    const editor = npw.editor({ kind: view.kind, text: row.fields[view.marked], value: row.value, known, fields: row.fields });
    const done = () => save(editor.value());
    const box = el("div", { class: "np-w-correct", tabindex: "-1", onkeydown: (event) => {
      if (editor.key(event)) event.preventDefault();
      else if (npw.editor.saves(event)) { event.preventDefault(); done(); }
      else if (event.key === "Escape" && cancel) cancel();
    } },
    view.kind === "spans" || view.kind === "answer" ? null : el("p", { class: "np-w-quote", dir: "auto" }, row.fields[view.marked]),
    el("p", { class: "np-w-info" }, say(`correct_${view.kind}`)), editor.element,
    el("div", { class: "np-w-line" }, button("save", done, { class: "np-button np-w-primary" }), cancel ? button("cancel", cancel) : null));
    return box;
  };

  // `given`: the filters of the address.
  const page = (name, overview, given) => {
    const note = messages();
    const unfiltered = { part: "rows", search: "", label: "", repeated: false, start: 0 };
    const state = { part: given.get("part") ?? "rows", search: given.get("search") ?? "", label: given.get("label") ?? "",
      repeated: given.get("repeated") === "true", start: Number(given.get("start") ?? 0) };
    const place = el("div", { class: "np-w-table" });
    const side = el("div", {});
    const chosen = new Map();
    let asking = null;

    // The filters are in the address, so that a link or a reload shows the same rows.
    const keep = () => {
      const own = Object.entries(state).filter(([key, value]) => value !== unfiltered[key]);
      history.replaceState(history.state, "", `#/data/${encodeURIComponent(name)}${own.length ? `?${new URLSearchParams(own)}` : ""}`);
    };
    const load = note.trying(async () => {
      asking?.abort();
      asking = new AbortController();
      const query = new URLSearchParams(Object.entries(state).map(([key, value]) => [key, String(value)]));
      draw(await get(`${path("datasets", name)}?${query}`, asking.signal));
    });
    const turn = (start) => { state.start = start; keep(); return load(); };
    // A button of a page of rows is drawn again with them.
    const paging = (key, start) => button(key, async () => {
      await turn(start);
      (document.getElementById(`np-rows-${key}`) ?? search).focus();
    }, { id: `np-rows-${key}` });
    const change = (values) => { Object.assign(state, values); chosen.clear(); turn(0); };

    const search = input("np-data-search", { type: "search", ".value": state.search, oninput: () => change({ search: search.value }) });
    const labels = select("np-data-label", [["", say("all_labels")]], "", () => change({ label: labels.value }));
    const repeated = el("input", { type: "checkbox", id: "np-data-repeated", ".checked": state.repeated, onchange: () => change({ repeated: repeated.checked }) });
    const repeatedText = el("span", {});
    const tabs = ["rows", "unlabelled"].map((part) => el("button", { type: "button", class: "np-w-tab", "data-part": part, "aria-pressed": String(part === state.part),
      onclick: () => { tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.dataset.part === part))); change({ part }); } }, say(`tab_${part}`)));

    const draw = (view) => {
      labels.replaceChildren(el("option", { value: "" }, say("all_labels")), ...Object.keys(view.labels).map((one) => el("option", { value: one, ".selected": one === state.label }, one)));
      labels.parentElement.hidden = !Object.keys(view.labels).length;
      repeatedText.textContent = say("repeated", { n: view.repeated });
      repeated.disabled = !view.repeated && !state.repeated;
      const body = view.rows.map((row) => drawRow(view, row));
      const last = state.start + view.rows.length;
      const removing = el("button", { type: "button", class: "np-button np-w-danger", hidden: !chosen.size, onclick: note.trying(async () => {
        await post(path("datasets", name, "remove"), { part: state.part, rows: Object.fromEntries(chosen) });
        chosen.clear();
        await load();
        search.focus();
      }) });
      place.onchange = (event) => {
        if (!event.target.matches(".np-w-pick")) return;
        removing.hidden = !chosen.size;
        removing.textContent = say("delete_rows", { n: chosen.size });
      };
      place.replaceChildren(
        view.rows.length ? el("table", { class: "np-w-rows" }, columns(view.kind), el("tbody", {}, body)) : el("p", { class: "np-w-info" }, say(state.search || state.label || state.repeated ? "no_match" : "none")),
        el("div", { class: "np-w-line" },
          el("span", { id: "np-data-count" }, view.found ? say("shown", { from: state.start + 1, to: last, n: view.found }) : ""),
          state.start ? paging("before", Math.max(0, state.start - PAGE)) : null,
          last < view.found ? paging("next", state.start + PAGE) : null, removing));
      const most = Math.max(1, ...Object.values(view.labels));
      side.replaceChildren(...Object.keys(view.labels).length ? [el("h3", {}, say("balance")), ...Object.entries(view.labels).map(([one, n]) =>
        el("div", { class: "np-w-balance" }, el("span", { dir: "auto" }, one), el("meter", { min: 0, max: most, value: n, "aria-label": one }), el("span", {}, String(n))))] : []);
    };

    const drawRow = (view, row) => {
      const pick = el("input", { type: "checkbox", class: "np-w-pick", "aria-label": say("select"),
        onchange: () => { if (pick.checked) chosen.set(row.place, row.digest); else chosen.delete(row.place); } });
      const number = view.rows.indexOf(row);
      // The focus returns to the row, or to that which has taken its place.
      const again = async () => {
        await load();
        const buttons = place.querySelectorAll("tbody td:last-child > button");
        (buttons[Math.min(number, buttons.length - 1)] ?? search).focus();
      };
      const line = el("tr", { class: row.repeated ? "np-w-repeated" : null }, el("td", {}, pick), ...shownValue(view.kind, view.marked, row),
        el("td", {}, button("edit", () => {
          const cell = el("td", { colspan: 4 }, editing(view, row, view.known, note.trying(async (value) => {
            await post(path("datasets", name, "rows"), { fields: row.fields, value, place: row.place, digest: row.digest, part: state.part });
            await again();
          }), again));
          line.replaceChildren(cell);
          cell.firstChild.focus();
        })));
      return line;
    };

    const file = el("input", { type: "file", id: "np-data-file", onchange: note.trying(async () => {
      const [one] = file.files;
      if (!one) return;
      const added = await post(`${path("datasets", name, "import")}?file=${encodeURIComponent(one.name)}`, one);
      file.value = "";
      await load();
      // At the end: what appears and goes again moves the buttons below while they are clicked.
      note.tell(el("p", { class: "np-note" }, say("imported", added)));
      note.line.scrollIntoView({ block: "nearest" }); // the rows, above, have it and not the field
    }) });
    const layout = select("np-data-layout", overview.formats.map((one) => [one, one]), "jsonl");
    const checked = el("div", { id: "np-data-check" });
    const check = note.trying(async () => {
      checked.replaceChildren(npw.training.findings((await post(path("datasets", name, "plan"), {})).check));
    });
    const about = overview.datasets.find((data) => data.name === name);
    const models = overview.runs.filter((run) => run.model && run.task === about?.task).map((run) => [run.model, run.name]);
    const model = select("np-data-model", [["", say("default_model")], ...models], "");
    const next = el("div", { id: "np-data-next" });
    const uncertain = note.trying(async () => label(await get(`${path("datasets", name, "uncertain")}?model=${encodeURIComponent(model.value)}`)));
    const label = (found) => {
      const [row] = found.rows;
      if (!row) { next.replaceChildren(el("p", { class: "np-w-info" }, say("all_done"))); return; }
      get(path("datasets", name)).then((view) => {
        const box = editing(view, row, found.known, note.trying(async (value) => {
          await post(path("datasets", name, "rows"), { fields: row.fields, value, place: row.place, digest: row.digest, part: "unlabelled" });
          await load();
          await uncertain();
        }));
        next.replaceChildren(el("p", { class: "np-w-info" }, say("uncertainty", { n: row.uncertainty })), box);
        box.focus();
      });
    };
    load();
    return el("div", { class: "np-w-page" },
      el("p", {}, el("a", { href: "#/" }, `← ${say("back")}`)),
      el("section", { class: "np-card" },
        el("div", { class: "np-w-head" }, el("h2", {}, name), el("span", { class: "np-chip" }, about ? npw.taskTitle(overview, about.task) : ""),
          el("a", { class: "np-button np-w-primary", id: "np-data-train", href: `#/train/${name}` }, say("train"))),
        el("div", { class: "np-w-line" }, tabs, field("search", search), field("label", labels), el("label", { class: "np-w-check" }, repeated, repeatedText)),
        note.line, place, side),
      el("section", { class: "np-card" }, el("h3", {}, say("uncertain")), el("p", { class: "np-w-info" }, say("uncertain_info")),
        el("div", { class: "np-w-line" }, field("model", model), button("uncertain", uncertain, { id: "np-data-uncertain" })), next),
      el("section", { class: "np-card" },
        el("div", { class: "np-w-line" }, field("import", file, "import_info"), field("export", layout),
          button("export", () => { location.href = `${path("datasets", name, "export")}?layout=${layout.value}`; }, { id: "np-data-export" }),
          button("check", check, { id: "np-data-check-now" })), checked));
  };

  return { list, page };
})();
