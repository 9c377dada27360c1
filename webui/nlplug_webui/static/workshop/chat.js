// A chat with a model that has a chat template; it takes the place of the prompt and is kept in the tab.
(() => {
  const { say, el, errorCard, notices } = npw;
  const OPTIONS = ["max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "seed", "repetition_penalty"];
  let turns = []; // {role, content}
  let on = true;
  let writing = null; // the AbortController of the answer that is being written

  const key = () => `nplug:chat:${nplug.form.task}`;
  const keep = (chat) => { try { sessionStorage.setItem(key(), JSON.stringify(chat)); } catch (_) { /* full or off */ } };
  const kept = () => { try { return JSON.parse(sessionStorage.getItem(key()) ?? "{}"); } catch (_) { return {}; } };

  const options = () => Object.fromEntries(OPTIONS.map((name) => [name, nplug.value(name)]).filter(([, value]) => value !== null && value !== undefined && value !== ""));

  const build = () => {
    const log = el("div", { class: "np-chat-log", id: "np-chat-log", role: "log", "aria-live": "polite", tabindex: 0 });
    const note = el("div", {});
    const before = kept();
    const store = () => keep({ turns: turns.filter((turn) => turn.content), system: system.value, draft: box.value });
    const system = el("textarea", { class: "np-w-input", id: "np-chat-system", rows: 2, dir: "auto", ".value": before.system ?? "", oninput: () => store() });
    const box = el("textarea", { class: "np-w-input", id: "np-chat-box", rows: 2, dir: "auto", "aria-label": say("message"), placeholder: say("message"), ".value": before.draft ?? "", oninput: () => store() });
    const send = el("button", { type: "submit", class: "np-button np-w-primary", id: "np-chat-send" }, say("send"));
    const stop = el("button", { type: "button", class: "np-button", id: "np-chat-stop", hidden: true, onclick: () => end() }, say("stop"));
    // The buttons go away with their focus.
    const end = () => { writing?.abort(); box.focus(); };
    const small = (name, onclick) => el("button", { type: "button", class: "np-copy", "data-chat": name, onclick }, say(name));

    const bubble = (turn, place) => {
      const last = place === turns.length - 1;
      const mine = turn.role === "user";
      const again = last ? small("again", () => { if (!mine) turns.pop(); answer(); box.focus(); }) : null; // a message may have no answer
      // What it does would be undone by the answer that is being written.
      const tools = writing ? [] : mine
        ? [small("edit_message", () => { box.value = turn.content; turns = turns.slice(0, place); draw(); box.focus(); }), again]
        : [el("button", { type: "button", class: "np-copy", "data-copy": "value", "data-value": turn.content, "data-done": `✓ ${say("copied")}` }, say("copy")), again];
      return el("article", { class: `np-chat-turn np-chat-${turn.role}` }, el("strong", {}, say(mine ? "you" : "model_says")),
        el("div", { class: "np-chat-text", dir: "auto" }, turn.content.trimStart()), el("div", { class: "np-chat-tools" }, tools));
    };
    const draw = () => {
      log.replaceChildren(...(turns.length ? turns.map(bubble) : [el("p", { class: "np-w-info" }, say("chat_none"))]));
      log.scrollTop = log.scrollHeight;
      store();
    };

    const answer = async () => {
      writing = new AbortController();
      const mine = writing;
      const asked = turns;
      const said = { role: "assistant", content: "" };
      turns = [...asked, said];
      note.replaceChildren();
      draw();
      send.disabled = true;
      stop.hidden = false;
      const messages = [...(system.value.trim() ? [{ role: "system", content: system.value }] : []), ...asked];
      const [first] = nplug.form.fields.filter((field) => field.input);
      const call = { task: nplug.form.task, model: nplug.value("model") || null, precision: nplug.value("precision"), item: { [first.key.replace(/^input-/, "")]: messages }, options: options() };
      try {
        for await (const piece of npTools.lines("./np-products/whole", call, mine.signal)) {
          said.content += piece.text ?? "";
          if (piece.done) note.replaceChildren(...notices([...piece.notices, ...(piece.finish === "length" && !piece.notices.length ? [say("chat_cut")] : [])]));
          const shown = log.lastElementChild?.querySelector(".np-chat-text");
          if (shown) shown.textContent = said.content.trimStart();
          log.scrollTop = log.scrollHeight;
        }
      } catch (error) {
        if (error.name !== "AbortError") note.replaceChildren(errorCard(error));
      }
      if (writing !== mine) return; // a new chat has begun
      if (!said.content) {
        turns = asked;
        if (!note.hasChildNodes() && !mine.signal.aborted) note.replaceChildren(el("p", { class: "np-w-info", role: "status" }, say("empty_text")));
      }
      writing = null;
      send.disabled = false;
      stop.hidden = true;
      draw();
    };

    const begin = () => {
      writing?.abort();
      writing = null;
      turns = [];
      note.replaceChildren();
      send.disabled = false;
      stop.hidden = true;
      draw();
      box.focus();
    };
    const submit = (event) => {
      event.preventDefault();
      if (!box.value.trim() || writing) return;
      turns = [...turns, { role: "user", content: box.value.trim() }];
      box.value = "";
      answer();
    };
    box.onkeydown = (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
      else if (event.key === "Escape" && writing) end();
    };
    turns = before.turns ?? [];
    draw();
    window.addEventListener("pagehide", store); // also what was written of an answer
    return el("section", { class: "np-chat" },
      el("details", { class: "np-fold", open: Boolean(system.value) }, el("summary", {}, say("system")), el("label", { class: "np-w-field" }, el("span", { class: "np-unseen" }, say("system")), system, el("small", {}, say("system_info")))),
      log, note,
      el("form", { class: "np-chat-form", onsubmit: submit }, box, el("div", { class: "np-w-line" },
        el("button", { type: "button", class: "np-button", id: "np-chat-new", onclick: begin }, say("new_chat")), stop, send)));
  };

  const show = () => {
    const card = document.getElementById("try-card");
    const chats = document.querySelector("[data-chats]")?.dataset.chats === "true";
    if (!card) return;
    let bar = document.getElementById("np-chat-switch");
    if (chats && !bar) {
      const choice = (value) => el("button", { type: "button", class: "np-button", "data-mode": value, onclick: () => { on = value === "chat"; show(); } }, say(value));
      bar = el("div", { class: "np-w-line", id: "np-chat-switch", role: "group", "aria-label": say("chat_or_prompt") }, choice("chat"), choice("prompt"));
      const chat = build();
      chat.id = "np-chat";
      card.prepend(bar, chat);
    }
    if (bar) bar.hidden = !chats;
    bar?.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", String((one.dataset.mode === "chat") === on)));
    document.querySelector(".np-work").toggleAttribute("data-chat", chats && on);
  };

  npTools.add(show);
  new MutationObserver(() => window.nplug.form && document.getElementById("np-products") && show())
    .observe(document.body, { childList: true, subtree: true });
})();
