// A click on a part of a translation, or Enter, lists other texts for it; one of them can replace it.
(() => {
  const { say, el, post, errorCard } = npw;
  let list = null;
  let turn = 0;

  const close = () => { list?.remove(); list = null; };

  // The changed text is also what "Confirm or correct" begins with.
  const replace = (part, text) => {
    const written = part.closest(".np-text");
    part.textContent = text;
    part.classList.add("np-part-changed");
    part.title = say("edited");
    const record = document.querySelector("#result .np-record");
    if (record) {
      const data = JSON.parse(record.dataset.record);
      record.dataset.record = JSON.stringify({ ...data, value: written.textContent });
    }
    close();
    part.focus();
  };

  // Words that differ from the text shown now are bold and underlined.
  const compared = (text, now) => {
    const known = new Set(now.split(/\s+/));
    return text.split(/(\s+)/).map((word) => (word.trim() && !known.has(word) ? el("mark", { class: "np-c-mark" }, word) : word));
  };

  const open = async (part) => {
    close();
    turn += 1;
    const mine = turn;
    const call = JSON.parse(document.querySelector("#result .np-call").dataset.call);
    const shown = el("div", { class: "np-alternatives", id: "np-alternatives", role: "dialog", "aria-label": say("alternatives") }, el("p", { class: "np-w-info" }, "…"));
    list = shown;
    part.closest(".np-written").append(shown);
    try {
      const { texts } = await post("./np-products/alternatives", { ...call, part: Number(part.dataset.part) });
      if (mine !== turn || !shown.isConnected) return;
      const now = part.textContent;
      const others = texts.filter((text) => text !== now);
      shown.replaceChildren(
        el("p", { class: "np-w-info" }, others.length ? say("alternatives") : say("no_alternatives")),
        ...others.map((text) => el("button", { type: "button", dir: "auto", onclick: () => replace(part, text) }, compared(text, now))),
      );
      shown.querySelector("button")?.focus();
    } catch (error) {
      shown.replaceChildren(errorCard(error));
    }
  };

  document.addEventListener("click", (event) => {
    const part = event.target.closest?.(".np-part-button");
    if (part) open(part);
    else if (list && !list.contains(event.target)) close();
  });
  document.addEventListener("keydown", (event) => {
    const part = event.target.closest?.(".np-part-button");
    if (part && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(part);
    } else if (event.key === "Escape" && list) close();
    else if (list?.contains(event.target) && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const buttons = [...list.querySelectorAll("button")];
      const step = event.key === "ArrowDown" ? 1 : -1;
      buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length]?.focus();
    }
  });
})();
