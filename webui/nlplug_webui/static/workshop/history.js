// The last 50 calls, as links that restore the page; kept in this browser if the visitor wants it.
(() => {
  const { say, el } = npw;
  const KEY = "nplug:history";
  const MOST = 50;

  const storage = (work) => { try { return work(localStorage); } catch (_) { return null; } };
  const on = () => storage((store) => store.getItem(KEY) !== null) ?? false;
  const entries = () => storage((store) => JSON.parse(store.getItem(KEY) ?? "[]")) ?? [];
  const write = (all) => storage((store) => {
    for (let count = all.length; ; count = Math.floor(count / 2)) { // half as many where the storage is full
      try { return store.setItem(KEY, JSON.stringify(all.slice(0, count))); } catch (error) { if (!count) throw error; }
    }
  });
  const longKey = (entry) => `nplug:long:${entry.path}${entry.search}`;

  const title = () => nplug.form.fields.filter((field) => field.input).map((field) => String(nplug.value(field.key) ?? "").trim()).filter(Boolean).join(" · ").replace(/\s+/g, " ").trim().slice(0, 90);
  const answer = () => {
    const card = document.querySelector("#result .np-answer");
    const best = card?.querySelector(".np-bar-first, .np-best strong, .np-text, .np-counts");
    return (best ?? card)?.innerText.replace(/\s+/g, " ").trim().slice(0, 90) ?? "";
  };

  const remember = () => {
    if (!on() || !nplug.current() || !title()) return;
    const search = nplug.link();
    const entry = { path: location.pathname, search, title: title(), answer: answer(), at: Date.now() };
    try { entry.long = sessionStorage.getItem(longKey(entry)); } catch (_) { /* off */ }
    const others = entries().filter((one) => one.path !== entry.path || one.search !== entry.search);
    // A text that is being typed replaces its beginning.
    if (others[0] && others[0].path === entry.path && entry.title.startsWith(others[0].title)) others.shift();
    write([entry, ...others].slice(0, MOST));
    list();
  };

  // The page of the entry opens with its values; on the same page they come back without a reload.
  const link = (entry) => el("a", { href: `${entry.path}${entry.search}`, onclick: (event) => {
    try { if (entry.long) sessionStorage.setItem(longKey(entry), entry.long); } catch (_) { /* off */ }
    if (entry.path !== location.pathname || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(history.state, "", event.currentTarget.href);
    nplug.again();
  } }, el("strong", { dir: "auto" }, entry.title), el("span", { dir: "auto" }, entry.answer),
  el("small", {}, entry.path.split("/").pop(), " · ", new Date(entry.at).toLocaleString()));

  const list = () => {
    const box = document.getElementById("np-history-list");
    if (!box) return;
    const all = entries();
    box.replaceChildren(...(all.length ? all.map((entry) => el("li", {}, link(entry))) : [el("li", { class: "np-w-info" }, say("history_none"))]));
    document.getElementById("np-history-clear").hidden = !all.length;
  };

  let timer = null;
  npTools.add(() => {
    npTools.place("np-history", () => {
      const keep = el("input", { type: "checkbox", id: "np-history-keep", ".checked": on(), onchange: () => {
        const asked = keep.checked;
        if (asked) { write([]); remember(); } else storage((store) => store.removeItem(KEY));
        keep.checked = on(); // a private window stores nothing
        box.hidden = !keep.checked;
        told.textContent = asked && !keep.checked ? say("history_off") : "";
        list();
      } });
      const told = el("p", { class: "np-w-info", role: "status" });
      const box = el("div", { hidden: !on() }, el("ol", { id: "np-history-list" }),
        el("button", { type: "button", class: "np-button", id: "np-history-clear", onclick: () => { write([]); list(); } }, say("history_clear")));
      return el("details", { class: "np-fold", ontoggle: () => list() }, el("summary", {}, say("history")),
        el("label", { class: "np-live" }, keep, el("span", {}, say("history_keep"))), el("p", { class: "np-w-info" }, say("history_info")), told, box);
    });
    clearTimeout(timer);
    timer = setTimeout(remember, 600); // after the address has its values
  });
})();
