// A click on a word of a translation lists other texts from that word on, and Enter other texts for
// the sentence; one of them can replace it.
(() => {
  const { say, el, post, errorCard } = npw;
  let list = null;
  let origin = null; // the sentence of the list
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

  // The number of the word of a part at a point of the page; null if there is none.
  const wordAt = (part, event) => {
    const at = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    const found = at ? [at.offsetNode, at.offset] : (({ startContainer, startOffset } = {}) => [startContainer, startOffset])(document.caretRangeFromPoint?.(event.clientX, event.clientY) ?? undefined);
    if (!found[0] || !part.contains(found[0])) return null;
    const range = document.createRange();
    range.setStart(part, 0);
    range.setEnd(...found);
    const until = range.toString();
    return Math.max(0, (until.match(/\S+/g) ?? []).length - (/\s$/.test(until) ? 0 : 1));
  };

  // What stays of a text if it changes from a word on.
  const kept = (text, word) => text.slice(0, [...text.matchAll(/\S+/g)][word]?.index ?? 0);

  const open = (part, word) => {
    close();
    const now = part.textContent;
    const words = now.match(/\S+/g) ?? [];
    const found = el("div", { class: "np-alternatives-found", "aria-live": "polite" });
    const chips = [...words, say("whole_part")].map((text, place) => el("button", { type: "button", class: "np-chip np-from-word", "data-word": place, onclick: () => show(place) }, text));
    const shown = el("div", { class: "np-alternatives", id: "np-alternatives", role: "dialog", "aria-label": say("alternatives") },
      words.length > 1 ? el("div", { class: "np-words", role: "group", "aria-label": say("from_word"), dir: "auto" }, el("span", { class: "np-w-info" }, say("from_word")), chips) : null, found);
    list = shown;
    origin = part;
    part.closest(".np-written").append(shown);
    const show = async (place) => {
      turn += 1;
      const mine = turn;
      chips.forEach((chip, number) => chip.setAttribute("aria-pressed", String(number === place)));
      found.replaceChildren(el("p", { class: "np-w-info" }, "…"));
      const call = JSON.parse(document.querySelector("#result .np-call").dataset.call);
      const before = place < words.length ? kept(now, place) : null;
      try {
        const { texts } = await post("./np-products/alternatives", { ...call, part: Number(part.dataset.part), before });
        if (mine !== turn || !shown.isConnected) return;
        const others = texts.filter((text) => text !== now);
        found.replaceChildren(
          el("p", { class: "np-w-info" }, others.length ? say("alternatives") : say("no_alternatives")),
          ...others.map((text) => el("button", { type: "button", class: "np-other", dir: "auto", onclick: () => replace(part, text) }, compared(text, now))),
        );
        found.querySelector("button")?.focus();
      } catch (error) {
        found.replaceChildren(errorCard(error));
      }
    };
    show(words.length > 1 && word !== null ? Math.min(word, words.length - 1) : words.length);
  };

  document.addEventListener("click", (event) => {
    const part = event.target.closest?.(".np-part-button");
    if (part) open(part, wordAt(part, event));
    else if (list && !list.contains(event.target)) close();
  });
  document.addEventListener("keydown", (event) => {
    const part = event.target.closest?.(".np-part-button");
    if (part && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      open(part, null);
    } else if (event.key === "Escape" && list) {
      const inside = list.contains(document.activeElement) || document.activeElement === document.body;
      close();
      if (inside) origin.focus();
    }
    else if (list?.contains(event.target) && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const buttons = [...list.querySelectorAll(".np-other")];
      const step = event.key === "ArrowDown" ? 1 : -1;
      buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length]?.focus();
    }
  });
})();
