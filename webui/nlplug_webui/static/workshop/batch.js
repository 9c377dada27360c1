// The batch of a page runs on the server. The tab keeps its name, so that a reload finds it again, and the browser those of
// all batches, whose results are listed and can be deleted.
(() => {
  const { say, el, deleting, local, messages } = npw;
  const MOST = 50; // as many as the server keeps
  const key = () => `nplug:batch:${location.pathname}`;
  const store = {
    get: () => { try { return sessionStorage.getItem(key()); } catch (_) { return null; } },
    set: (name) => { try { sessionStorage.setItem(key(), name); } catch (_) { /* off */ } },
  };
  const names = (now) => JSON.parse(local(`batches:${location.pathname}`, now && JSON.stringify(now.slice(0, MOST))) ?? "[]");
  let name = store.get() ?? "";
  let leaving = null; // the mark of the batch that the page shows until it has the next one
  let asked = false; // whether the batch of before was asked for
  let listed = ""; // what the list was drawn for
  let turn = 0;

  // The name for the events of the page.
  window.npBatch = () => name;

  const marked = () => document.querySelector("#batch-result :is([data-batch], [data-batch-lost])");
  const show = (wanted) => {
    leaving = marked();
    name = wanted;
    store.set(name);
    document.getElementById("np-batch-again")?.click();
  };

  const line = (one, note) => el("li", { class: "np-w-line", "data-result": one.id },
    el("button", { type: "button", class: "np-button np-batch-open", "aria-current": one.id === name ? "true" : null, onclick: () => show(one.id) }, one.source ?? say("batch_going")),
    el("small", {}, one.ended ? new Date(one.ended * 1000).toLocaleString() : ""),
    deleting("", note.trying(async () => {
      await npw.remove(`./np-batches/${one.id}`);
      names(names().filter((other) => other !== one.id));
      if (one.id === name) show("");
      list();
    })));

  // Names that the server does not know any more are forgotten.
  const list = async () => {
    const root = document.getElementById("np-batches");
    if (!root) return;
    turn += 1;
    const mine = turn;
    const known = names();
    const found = known.length ? (await npw.get(`./np-batches?${new URLSearchParams({ ids: known.join(",") })}`)).found : [];
    if (mine !== turn || !root.isConnected) return;
    names(names().filter((one) => !known.includes(one) || found.some((other) => other.id === one)));
    const results = found.filter((one) => one.ended || one.id !== name); // the page shows the one that runs
    const state = JSON.stringify([results, name]);
    if (root.dataset.shown === state) return; // a button that was clicked once stays
    root.dataset.shown = state;
    const note = messages();
    root.replaceChildren(...(results.length ? [el("h3", {}, say("batches")), el("ul", {}, results.map((one) => line(one, note))), note.line, el("p", { class: "np-w-info" }, say("batches_info", { n: MOST }))] : []));
  };

  // Gradio drops an event that comes before it has wired all of its parts, so this one is repeated.
  const ask = (times) => {
    if (!times || marked()) return;
    document.getElementById("np-batch-again")?.click();
    setTimeout(ask, 5000, times - 1);
  };

  const changed = () => {
    const mark = marked();
    if (mark !== leaving) leaving = null;
    const { batch: shown, batchLost: lost, state: going } = leaving ? {} : mark?.dataset ?? {}; // a loss is said once
    if ((shown && shown !== name) || (lost !== undefined && name)) {
      name = shown ?? "";
      store.set(name);
    }
    const stop = document.getElementById("batch-stop");
    const idle = going !== "running";
    if (stop && stop.disabled !== idle) stop.disabled = idle;
    if (shown && !names().includes(shown)) names([shown, ...names()]);
    const again = document.getElementById("np-batch-again");
    const root = document.getElementById("np-batches");
    if (!again || !root || !document.getElementById("np-products") || !window.nplug.form) return;
    // Drawn again when the page shows another result.
    const state = JSON.stringify([shown, Boolean(document.querySelector("#batch-result .np-downloads"))]);
    if (state !== listed || !root.dataset.drawn) {
      listed = state;
      root.dataset.drawn = "true";
      list().catch(() => { delete root.dataset.drawn; }); // the server has ended
    }
    if (asked) return;
    asked = true;
    if (name) setTimeout(ask, 0, 3);
  };
  new MutationObserver(changed).observe(document.body, { childList: true, subtree: true });
})();
