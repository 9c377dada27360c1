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

  new MutationObserver(() => {
    const shown = document.querySelector("#batch-result [data-batch]")?.dataset.batch;
    if (shown && shown !== name) {
      name = shown;
      store.set(name);
    }
    const again = document.getElementById("np-batch-again");
    if (asked || !again || !window.nplug.form) return;
    asked = true;
    if (name) setTimeout(() => again.click());
  }).observe(document.body, { childList: true, subtree: true });
})();
