// Light and dark, the language and title of the document, and copying. Loaded in the head of every page.
(() => {
  const key = "nlplug-theme";
  const chosen = () => {
    try { return localStorage.getItem(key); } catch (_) { return null; }
  };

  // The browser's preference applies until the visitor chooses; Gradio sets its class late.
  let onPaper = null; // while the page is printed: whether it was dark, which paper is not
  const applyTheme = () => {
    const wanted = onPaper === null ? chosen() : "light";
    const dark = document.body.classList.contains("dark");
    if (wanted && dark !== (wanted === "dark")) document.body.classList.toggle("dark");
  };

  window.addEventListener("beforeprint", () => {
    onPaper = document.body.classList.contains("dark");
    applyTheme();
  });
  window.addEventListener("afterprint", () => {
    const dark = onPaper;
    onPaper = null;
    document.body.classList.toggle("dark", dark);
  });

  // Gradio gives all pages the same title; the header of each page has its own.
  const applyTitle = () => {
    const wanted = document.querySelector("[data-title]")?.dataset.title;
    if (wanted && document.title !== wanted) document.title = wanted;
  };

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch (_) { // only available on localhost and over https
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };

  const rows = (cells) => cells.map((row) => row.join("\t")).join("\n");

  // An answer as plain text: bars and tables as lines with tabs.
  const answerText = (card) => {
    const bars = [...card.querySelectorAll(".np-bar")];
    if (bars.length) {
      return rows(bars.map((bar) => [...bar.querySelectorAll(".np-bar-name, .np-bar-score")].map((cell) => cell.textContent)));
    }
    const table = card.querySelector("table");
    if (table) return rows([...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent)));
    const texts = [...card.querySelectorAll(".np-text")];
    return texts.length ? texts.map((text) => text.textContent).join("\n\n") : card.innerText;
  };

  const sources = {
    link: () => location.href,
    value: (button) => button.dataset.value,
    written: (button) => button.closest(".np-written").querySelector(".np-text").textContent,
    answer: (button) => answerText(button.closest("#result")),
    code: (button) => button.closest("section").querySelector("code").textContent,
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (button) {
      await copy(sources[button.dataset.copy](button));
      const before = button.textContent;
      // A text that is too long for an address stays in this tab.
      const partly = button.dataset.copy === "link" && new URLSearchParams(location.search).has("long");
      const told = partly ? button.dataset.partly : button.dataset.done;
      if (before === told) return;
      button.textContent = told;
      setTimeout(() => { button.textContent = before; }, 1600);
    } else if (event.target.closest?.(".np-theme")) {
      const dark = document.body.classList.contains("dark");
      try { localStorage.setItem(key, dark ? "light" : "dark"); } catch (_) { /* not kept */ }
      document.body.classList.toggle("dark", !dark);
    }
  });

  document.documentElement.lang = navigator.language || "en";
  const start = () => {
    applyTheme();
    new MutationObserver(applyTheme).observe(document.body, { attributeFilter: ["class"] });
    new MutationObserver(applyTitle).observe(document, { childList: true, subtree: true });
  };
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start);
})();
