// Editors of one value: a label, spans in a text, an answer in a text, or a text.
npw.editor = (() => {
  const { say, el } = npw;

  // Offsets count characters, as Python does; JavaScript counts UTF-16 units.
  const characters = (text) => [...text];
  const count = (text) => characters(text).length;

  const selection = (box) => {
    const chosen = getSelection();
    if (!chosen.rangeCount || chosen.isCollapsed) return null;
    const range = chosen.getRangeAt(0);
    if (!box.contains(range.startContainer) || !box.contains(range.endContainer)) return null;
    const at = (node, offset) => {
      const before = document.createRange();
      before.selectNodeContents(box);
      before.setEnd(node, offset);
      return count(before.toString());
    };
    let start = at(range.startContainer, range.startOffset);
    let end = at(range.endContainer, range.endOffset);
    const letters = characters(box.dataset.text);
    while (start < end && !letters[start].trim()) start += 1;
    while (end > start && !letters[end - 1].trim()) end -= 1;
    return start < end ? { start, end } : null;
  };

  // A text of which parts are selected, also by keyboard: as an editable text it has a cursor, but nothing changes it.
  const selectable = (text, draw) => el("div", { class: "np-w-text", tabindex: "0", dir: "auto", "data-text": text,
    contenteditable: "true", role: "textbox", "aria-multiline": "true", "aria-readonly": "true", "aria-label": say("text"), inputmode: "none", spellcheck: "false",
    onbeforeinput: (event) => event.preventDefault(),
    oninput: draw }); // what an input method wrote cannot be prevented

  // The cursor behind a character of such a text, where the next selection begins.
  const goTo = (box, at) => {
    const texts = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    let left = characters(box.dataset.text).slice(0, at).join("").length;
    while (texts.nextNode()) {
      if (left <= texts.currentNode.length) { getSelection().collapse(texts.currentNode, left); return; }
      left -= texts.currentNode.length;
    }
  };

  const SHOWN = 18; // labels with a button; the others are suggestions of the field

  // Buttons of labels with their keys, and a field for another one. The first label is the proposed one.
  const labelBar = (known, choose, chosen = () => []) => {
    known.sort((a, b) => chosen().includes(b) - chosen().includes(a));
    const bar = el("div", { class: "np-w-labels", role: "group", "aria-label": say("label") });
    const draw = () => {
      const focused = bar.contains(document.activeElement);
      const id = `np-w-labels-${Math.random().toString(36).slice(2)}`;
      const more = el("datalist", { id }, known.slice(SHOWN).map((name) => el("option", { value: name })));
      const other = el("input", { class: "np-w-input np-w-other", list: id, placeholder: say("other_label"), "aria-label": say("other_label"),
        onkeydown: (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          event.stopPropagation();
          const name = other.value.trim();
          if (!name) return;
          known.splice(0, known.length, name, ...known.filter((one) => one !== name));
          choose(name);
          draw();
        } });
      bar.replaceChildren(...known.slice(0, SHOWN).map((name, place) => el("button", {
        type: "button", class: "np-w-label", "data-label": name, "aria-pressed": String(chosen().includes(name)),
        onmousedown: (event) => event.preventDefault(), // keeps the selection
        onclick: () => { choose(name); draw(); },
      }, place < 9 ? el("kbd", {}, String(place + 1)) : null, name)), other, more);
      if (focused) (bar.querySelector("[aria-pressed='true']") ?? bar.firstChild).focus();
    };
    draw();
    const key = (event) => {
      const name = /^[1-9]$/.test(event.key) && known[Number(event.key) - 1];
      if (!name || event.target.matches("input, textarea, select")) return false;
      choose(name);
      draw();
      return true;
    };
    return { bar, key };
  };

  const makers = {
    label({ value, known }) {
      let now = value;
      const { bar, key } = labelBar(known, (name) => { now = name; }, () => [now].flat());
      return { element: bar, value: () => now, key };
    },

    spans({ text, value, known }) {
      let spans = (value ?? []).map((span) => ({ ...span }));
      const letters = characters(text);
      const draw = () => {
        spans.sort((a, b) => a.start - b.start);
        const parts = [];
        let done = 0;
        for (const span of spans) {
          if (span.start < done) continue;
          parts.push(letters.slice(done, span.start).join(""));
          const words = letters.slice(span.start, span.end).join("");
          const remove = () => { spans = spans.filter((one) => one !== span); draw(); box.focus(); };
          parts.push(el("mark", { class: "np-w-span", role: "button", tabindex: "0", "data-label": span.label,
            "aria-label": say("remove_span", { text: words, label: span.label }),
            onclick: () => getSelection().isCollapsed && remove(),
            onkeydown: (event) => { if (["Enter", "Delete", "Backspace"].includes(event.key)) { event.preventDefault(); event.stopPropagation(); remove(); } },
          }, words));
          done = span.end;
        }
        box.replaceChildren(...parts, letters.slice(done).join(""));
      };
      const box = selectable(text, () => draw());
      draw();
      const choose = (label) => {
        const found = selection(box);
        if (!found) return;
        spans = spans.filter((span) => span.end <= found.start || span.start >= found.end);
        spans.push({ ...found, label });
        draw();
        goTo(box, found.end);
      };
      const { bar, key } = labelBar(known, choose);
      return { element: el("div", {}, box, bar), value: () => spans.map(({ start, end, label }) => ({ start, end, label })), key };
    },

    answer({ text, value, fields }) {
      let now = value;
      const letters = characters(text);
      const box = selectable(text, () => draw());
      const none = el("input", { type: "checkbox", onchange: () => { now = none.checked ? null : value; draw(); } });
      const draw = () => {
        none.checked = !now;
        box.replaceChildren(...(now
          ? [letters.slice(0, now.start).join(""), el("mark", { class: "np-w-span" }, letters.slice(now.start, now.end).join("")), letters.slice(now.end).join("")]
          : [text]));
      };
      draw();
      const take = () => {
        const found = selection(box);
        if (!found) return;
        now = found;
        draw();
        goTo(box, found.end);
      };
      box.addEventListener("mouseup", take);
      box.addEventListener("keyup", (event) => event.key === "Shift" && take());
      const asked = fields.question ? el("p", { class: "np-w-question", dir: "auto" }, fields.question) : null;
      return { element: el("div", {}, asked, box, el("label", { class: "np-w-check" }, none, say("no_answer"))), value: () => now, key: () => false };
    },

    text({ value }) {
      const area = el("textarea", { class: "np-w-input", rows: "4", dir: "auto", ".value": value ?? "", "aria-label": say("correct_text") });
      return { element: area, value: () => area.value, key: () => false };
    },
  };

  // Whether Enter saves here. It chooses a label first, and does in other fields and buttons what it always does.
  const saves = ({ key, target }) => key === "Enter" && (target.matches("[aria-pressed=true]") || !target.matches("textarea, button, select, a"));

  // An editor: `element`, `value()`, and `key(event)`, which says whether it took a key.
  const make = ({ kind, text, value, known = [], fields = {} }) => makers[kind]({ text, value, known: [...known], fields });
  return Object.assign(make, { saves });
})();
