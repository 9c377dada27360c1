// Below an answer: confirm it or correct it, and store it in a data set of the workspace.
(() => {
  const { say, el, get, post, path, local, messages, select, input, field, button } = npw;
  let shown = "";

  const show = (root, record) => {
    const note = messages();
    const opened = el("div", { class: "np-w-correct", id: "np-correct-open", hidden: true });
    const toggle = button("correct", () => (opened.hidden ? open() : close()), { id: "np-correct-toggle", "aria-expanded": "false", "aria-controls": "np-correct-open" });
    const close = () => { opened.hidden = true; toggle.setAttribute("aria-expanded", "false"); };

    const open = note.trying(async () => {
      opened.hidden = false;
      toggle.setAttribute("aria-expanded", "true");
      const { datasets } = await get(path("overview"));
      const names = datasets.filter((data) => data.task === record.task).map((data) => data.name);
      const last = local(`dataset:${record.task}`);
      const sets = select("np-correct-data", [...names.map((name) => [name, name]), ["", say("new_data")]], names.includes(last) ? last : names[0] ?? "",
        () => { fresh.parentElement.hidden = Boolean(sets.value); });
      const fresh = input("np-correct-name", { ".value": names.length ? "" : record.task.replace(/_/g, "-") });
      let known = record.known;
      if (names.length && (record.kind === "label" || record.kind === "spans")) {
        const found = await get(path("datasets", sets.value));
        known = [...new Set([...found.known, ...known])]; // those of the data set first
      }
      const editor = npw.editor({ ...record, known, text: record.fields[record.marked] ?? "" });
      const save = note.trying(async () => {
        let name = sets.value;
        if (!name) {
          name = (await post(path("datasets"), { name: fresh.value.trim(), task: record.task })).name;
          sets.prepend(el("option", { value: name }, name));
          sets.value = name;
          fresh.parentElement.hidden = true;
        }
        const { rows } = await post(path("datasets", name, "rows"), { item: record.item, value: editor.value() });
        local(`dataset:${record.task}`, name);
        close();
        toggle.focus();
        note.tell(el("p", { class: "np-note", id: "np-correct-stored" }, say("stored", { name, n: rows }), " ",
          el("a", { href: `./workspace#/data/${name}` }, say("to_data"))));
      });
      const named = field("name", fresh);
      named.hidden = Boolean(sets.value);
      opened.replaceChildren(
        el("p", { class: "np-w-info" }, say(`correct_${record.kind}`)),
        editor.element,
        el("div", { class: "np-w-line" }, field("into", sets), named, el("button", { type: "button", class: "np-button np-w-primary", id: "np-correct-save", onclick: save }, say("save"))),
      );
      opened.onkeydown = (event) => {
        if (editor.key(event)) event.preventDefault();
        else if (npw.editor.saves(event)) { event.preventDefault(); save(); }
        else if (event.key === "Escape") { close(); toggle.focus(); }
      };
      opened.tabIndex = -1;
      (opened.querySelector("[tabindex='0'], textarea, .np-w-label") ?? opened).focus();
      opened.scrollIntoView({ block: "nearest" }); // it may open below the window
    });

    root.replaceChildren(toggle, opened, note.line);
  };

  const look = () => {
    const root = document.getElementById("np-correct");
    const data = root && document.querySelector("#result .np-record")?.dataset.record;
    if (!root || (data ?? "") === shown && root.dataset.for === shown) return;
    shown = data ?? "";
    root.dataset.for = shown;
    if (shown) show(root, JSON.parse(shown));
    else root.replaceChildren();
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();
})();
