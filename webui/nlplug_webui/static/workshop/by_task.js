// Pages that have a part for each task. Their fields are in the address (#/TASK?name=value) and in the
// tab, so that links, Back, a reload and a restart of the server restore them. An answer is marked as
// outdated when the fields change.
(() => {
  const { say, el, decoded, filled, field, select, title, local, errorCard } = npw;
  const TYPING = 300; // milliseconds without a change before a page asks by itself
  const FAST = 0.1; // seconds that an answer may take to be asked for while typing
  const LIMIT = 2000; // characters of the address
  const LONG = "long"; // a value is only in the tab

  const tab = (key, value) => {
    try {
      if (value !== undefined) sessionStorage.setItem(key, value);
      return sessionStorage.getItem(key);
    } catch (_) { return null; } // full or off
  };

  // The task of the address, and the values of its fields as text.
  const inAddress = () => {
    const [task, ...query] = location.hash.slice(2).split("?");
    return { task: decoded(task), query: query.join("?") };
  };

  const answers = new Map(); // element of an answer → {values, asked}: what the form has, and had then

  const mark = ({ values, asked }, area) => {
    const note = area.querySelector(".np-outdated");
    if (asked === JSON.stringify(values())) note?.remove();
    else if (!note) area.prepend(el("p", { class: "np-outdated" }, say("outdated")));
  };

  // `tasks` and `offer` ask the server. `page` gets a task, what the server offers for it, and the values
  // of the address. It gives {parts, values}: its elements, and what the address shall have.
  npw.byTask = (id, chooserId, tasks, offer, page) => filled(id, async (root) => {
    const key = (task) => `nplug:${id}:${task}`;
    const box = el("div", { class: "np-w-page" });
    let open = null; // the part that is shown: {task, values}
    let committed = false; // whether the next change begins an entry of the browser's history

    const write = () => {
      const values = open.values();
      tab(key(open.task), JSON.stringify(values));
      const query = new URLSearchParams();
      for (const [name, text] of Object.entries(values)) {
        query.set(name, text);
        if (String(query).length <= LIMIT) continue;
        query.delete(name);
        query.set(LONG, "1");
      }
      const address = `#/${encodeURIComponent(open.task)}${String(query) && `?${query}`}`;
      if (address === location.hash) return;
      history[committed ? "pushState" : "replaceState"](history.state, "", address);
      committed = false;
    };
    const show = async (task, query = "") => {
      const given = new URLSearchParams(query);
      const kept = query && !given.has(LONG) ? {} : JSON.parse(tab(key(task)) ?? "{}");
      try {
        const made = page(task, await offer(task), { ...kept, ...Object.fromEntries(given) });
        open = { task, values: made.values };
        answers.clear();
        box.replaceChildren(...made.parts);
      } catch (error) {
        open = null;
        box.replaceChildren(errorCard(error));
      }
      root.dataset.ready = task;
    };
    const changed = () => {
      if (!open) return;
      write();
      answers.forEach(mark);
    };
    box.addEventListener("input", changed);
    box.addEventListener("change", changed);
    box.addEventListener("submit", (event) => {
      if (!open) return;
      write();
      if (event.submitter) committed = true; // not while typing
    });

    try {
      const found = await tasks();
      const named = () => { const { task } = inAddress(); return task ? found.find((one) => one.name === task) : found[0]; };
      const enter = async () => {
        const { task, query } = inAddress();
        if (named()) { await show(named().name, query); return; }
        box.replaceChildren(...(task ? [errorCard(new Error(say("no_such_task", { name: task })))] : []));
        root.dataset.ready = task;
      };
      const choose = (event) => {
        history.pushState(history.state, "", `#/${encodeURIComponent(event.target.value)}`);
        show(event.target.value);
      };
      const chooser = select(chooserId, found.map((one) => [one.name, title(one.title)]), named()?.name, choose);
      const link = el("button", { type: "button", class: "np-button", "data-copy": "link", "data-done": `✓ ${say("copied")}`, "data-partly": say("copied_partly") }, say("copy_link"));
      root.replaceChildren(el("div", { class: "np-w-page" }, el("div", { class: "np-w-line" }, field("task", chooser), link), box));
      window.addEventListener("hashchange", () => {
        if (!root.isConnected) return;
        chooser.value = named()?.name ?? "";
        enter();
      });
      if (!named()) chooser.value = "";
      await enter();
    } catch (error) {
      root.replaceChildren(errorCard(error));
    }
  });

  // What a form does when it asks: its button waits for the answer, and an earlier question is cancelled.
  // `values` gives what the answer depends on, once `ready` is fulfilled; `work` gets a signal and gives the elements of the answer.
  npw.asking = (note, shown, working, values, work, ready = () => null) => {
    let asking = null;
    const submitted = async (event) => {
      event.preventDefault();
      asking?.abort();
      const mine = new AbortController();
      asking = mine;
      await npw.busy(event.target.querySelector("button[type=submit]"), () => answering(mine));
    };
    const answering = async (mine) => {
      await ready(); // what fills the form by itself does not make an answer outdated
      if (asking !== mine) return;
      const asked = JSON.stringify(values());
      if (!answers.has(shown)) shown.replaceChildren(el("p", { class: "np-w-info" }, say(working)));
      const content = await note.trying(() => work(mine.signal))();
      if (asking !== mine) return;
      shown.replaceChildren(...(content ?? []).filter(Boolean));
      answers.delete(shown);
      if (content) {
        answers.set(shown, { values, asked });
        mark(answers.get(shown), shown);
      }
    };
    return submitted;
  };

  // Answers while typing in `text`, the fields of a form: asks after a pause, if one of the last answers
  // was fast or somebody has switched it on. The browser keeps the switch. `took` is told the seconds of each answer.
  npw.whileTyping = (id, name, initial, text) => {
    const costs = [];
    const key = `live:${name}`;
    const box = el("input", { type: "checkbox", id, ".checked": (local(key) ?? String(initial)) === "true", onchange: () => local(key, String(box.checked)) });
    let timer = null;
    const listen = (form) => {
      form.addEventListener("submit", () => clearTimeout(timer));
      form.addEventListener("input", (event) => {
        clearTimeout(timer);
        const fast = local(key) === "true" || !costs.length || Math.min(...costs) <= FAST;
        if (!text.has(event.target) || !box.checked || !fast || !text.values().some((one) => one.trim())) return;
        timer = setTimeout(() => form.isConnected && form.requestSubmit(), TYPING);
      });
      return form;
    };
    return { listen, shown: el("label", { class: "np-live" }, box, el("span", {}, say("live"))), took: (seconds) => costs.splice(0, costs.length, ...costs.slice(-2), seconds) };
  };

  // In a text of several lines Enter is a line break, as on the pages of tasks.
  const submitting = (event) => {
    if (event.key !== "Enter" || !event.shiftKey) return;
    event.preventDefault();
    event.target.form.requestSubmit(event.target.form.querySelector("[type=submit]"));
  };

  // The fields of an input by their descriptions, with the values of the address.
  npw.inputs = (prefix, fields, given) => {
    const made = fields.map((one) => {
      const first = String(one.value ?? "");
      const box = el(one.lines > 1 ? "textarea" : "input", { id: `${prefix}-${one.name}`, class: "np-w-input", dir: "auto",
        rows: one.lines > 1 ? Math.min(one.lines, 4) : null, onkeydown: one.lines > 1 ? submitting : null, ".value": given[one.name] ?? first });
      return { name: one.name, first, box, shown: el("label", { class: "np-w-field" }, el("span", {}, title(one.title) ?? one.name), box) };
    });
    return {
      shown: made.map((one) => one.shown),
      has: (node) => made.some((one) => one.box === node),
      values: () => made.map((one) => one.box.value),
      changed: () => Object.fromEntries(made.filter((one) => one.box.value !== one.first).map((one) => [one.name, one.box.value])),
    };
  };
})();
