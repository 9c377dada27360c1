// The batch of a page runs on the server. Its name is kept in the tab, so that a reload finds it again.
(() => {
  const key = () => `nplug:batch:${location.pathname}`;
  const store = {
    get: () => { try { return sessionStorage.getItem(key()); } catch (_) { return null; } },
    set: (name) => { try { sessionStorage.setItem(key(), name); } catch (_) { /* off */ } },
  };
  let name = store.get() ?? "";
  let asked = false; // whether the batch of before was asked for

  // The name for the events of the page.
  window.npBatch = () => name;

  // Gradio drops an event that comes before it has wired all of its parts, so this one is repeated.
  const ask = (times) => {
    if (!times || document.querySelector("#batch-result :is([data-batch], [data-batch-lost])")) return;
    document.getElementById("np-batch-again")?.click();
    setTimeout(ask, 5000, times - 1);
  };

  new MutationObserver(() => {
    const shown = document.querySelector("#batch-result [data-batch]")?.dataset.batch;
    const lost = document.querySelector("#batch-result [data-batch-lost]"); // is said once
    if ((shown && shown !== name) || (lost && name)) {
      name = shown ?? "";
      store.set(name);
    }
    const again = document.getElementById("np-batch-again");
    if (asked || !again || !document.getElementById("download-skipped") || !window.nplug.form) return;
    asked = true;
    if (name) setTimeout(ask, 0, 3);
  }).observe(document.body, { childList: true, subtree: true });
})();
