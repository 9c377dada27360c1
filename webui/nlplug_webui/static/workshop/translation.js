// Tasks with a source and a target language: the languages above the text, and whole text files.
(() => {
  const { say, el, messages, errorCard, notices } = npw;
  const LARGEST = 2000000;
  const directions = {}; // model of each pair of languages, as far as it was asked for

  const chosen = (key) => String(nplug.value(key) ?? "");
  const choices = () => JSON.parse(document.querySelector("[data-choices]")?.dataset.choices ?? "{}");

  const options = (key, offered, empty) => {
    const named = offered.filter(([, value]) => value);
    // A model with one language needs no choice.
    if (named.length === 1 && named.length < offered.length && chosen(key) === "") return [el("option", { value: "" }, named[0][0])];
    const pairs = offered.some(([, value]) => value === "") || !empty ? offered : [[empty, ""], ...offered];
    return pairs.map(([title, value]) => el("option", { value, ".selected": value === chosen(key) }, value === "" && empty ? empty : title));
  };

  // The values of the form for a model that translates between two languages; null if there is none.
  const direction = (source, target) => {
    const key = `${source} ${target}`;
    if (!(key in directions)) {
      directions[key] = null;
      npw.post("./np-products/direction", { task: nplug.form.task, source, target })
        .then((found) => { directions[key] = found.model ? found : null; languages(); })
        .catch(() => {}); // the swap stays off
    }
    return directions[key];
  };

  // Calls a function once the card shows another model, whose defaults the form has then.
  const afterCard = (then) => {
    const offered = () => document.querySelector("[data-choices]")?.dataset.choices;
    const before = offered();
    const watch = new MutationObserver(() => {
      if (!offered() || offered() === before) return;
      watch.disconnect();
      setTimeout(then, 100);
    });
    watch.observe(document.body, { childList: true, subtree: true, attributes: true });
  };

  const languages = () => {
    const { src_lang: sources, tgt_lang: targets } = choices();
    const form = document.getElementById("try-card");
    const old = document.getElementById("np-languages");
    if (!form || !sources?.length || !targets?.length) { old?.remove(); return; }
    const found = document.querySelector("#result [data-detected]")?.dataset.detected;
    const detect = found ? say("detected", { language: found }) : say("detect");
    const named = (offered) => offered.map(([, value]) => value).filter(Boolean);
    const from = chosen("src_lang") || (named(sources).length === 1 ? named(sources)[0] : "");
    const to = chosen("tgt_lang") || (named(targets).length === 1 ? named(targets)[0] : "");
    const both = sources.some(([, value]) => value === to) && targets.some(([, value]) => value === from) && from && to && from !== to;
    const other = !both && from && to && from !== to ? direction(to, from) : null;
    const shown = JSON.stringify([sources, targets, chosen("src_lang"), chosen("tgt_lang"), detect, other]);
    if (old?.dataset.shown === shown) return;
    const one = (key, name, offered, empty) => el("label", { class: "np-language" }, el("span", {}, say(name)),
      el("select", { class: "np-w-input", id: `np-${key}`, onchange: (event) => nplug.set({ [key]: event.target.value }) }, options(key, offered, empty)));
    const swap = () => {
      const [first] = nplug.form.fields.filter((field) => field.input);
      const answer = nplug.current() ? document.querySelector("#result .np-written .np-text")?.textContent : null;
      const text = answer ? { [first.key]: answer } : {};
      if (other) {
        afterCard(() => nplug.set(text, nplug.run));
        nplug.set(other);
      } else nplug.set({ src_lang: to, tgt_lang: from, ...text }, nplug.run);
    };
    const bar = el("div", { class: "np-languages", id: "np-languages", "data-shown": shown },
      one("src_lang", "source_language", sources, named(sources).length > 1 ? detect : null),
      el("button", { type: "button", class: "np-button", id: "np-swap", "aria-label": say("swap"), title: say(both ? "swap" : other ? "swap_model" : "no_swap", other ?? {}), disabled: !both && !other, onclick: swap }, "⇄"),
      one("tgt_lang", "target_language", targets, null));
    if (old) old.replaceWith(bar);
    else form.prepend(bar);
  };

  const whole = () => {
    const note = messages();
    let stopping = null;
    const file = el("input", { type: "file", id: "np-whole-file", accept: `.txt,.md,.srt,.vtt,text/plain,text/markdown${nplug.has("tag_handling") ? ",.html,.htm,text/html" : ""}` });
    const stop = el("button", { type: "button", class: "np-button", hidden: true, onclick: () => stopping?.abort() }, say("stop"));
    const work = async (given) => {
      if (given.size > LARGEST) throw new Error(say("file_large"));
      let text;
      try { text = new TextDecoder("utf-8", { fatal: true }).decode(await given.arrayBuffer()); } catch (_) { throw new Error(say("file_not_text")); }
      const [first] = nplug.form.fields.filter((field) => field.input);
      const kept = Object.fromEntries(["src_lang", "tgt_lang"].filter((key) => chosen(key)).map((key) => [key, chosen(key)]));
      const html = nplug.has("tag_handling") && /\.html?$/i.test(given.name);
      if (html) kept.tag_handling = "html";
      const call = { task: nplug.form.task, model: chosen("model") || null, precision: chosen("precision"), item: { [first.key]: text }, options: kept };
      stopping = new AbortController();
      const target = given.name.replace(/(\.[^.]+)?$/, (end) => `.${chosen("tgt_lang") || "translated"}${end}`);
      let made = "";
      let ended = "file_stopped";
      let known = [];
      try {
        for await (const line of npTools.lines("./np-products/whole", call, stopping.signal)) {
          if (line.done) { ended = "file_done"; known = line.notices; }
          made += line.text ?? "";
          note.tell(el("p", {}, say("file_busy", { name: given.name, share: `${Math.min(99, Math.round((100 * made.length) / Math.max(1, text.length)))} %` })));
        }
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
      note.tell(el("p", { id: "np-whole-done" }, say(ended, { name: given.name }), " ",
        el("button", { type: "button", class: "np-button", id: "np-whole-save", onclick: () => npTools.save(target, `text/${html ? "html" : "plain"};charset=utf-8`, made) }, say("save_as", { name: target }))), ...notices(known));
    };
    file.onchange = async () => {
      if (!file.files[0]) return;
      stop.hidden = false;
      try { await work(file.files[0]); } catch (error) { note.tell(errorCard(error)); }
      stop.hidden = true;
      file.value = "";
    };
    return el("details", { class: "np-fold" }, el("summary", {}, say("whole_file")),
      el("p", { class: "np-w-info" }, say("whole_file_info")),
      el("div", { class: "np-w-line" }, el("label", { class: "np-w-field" }, el("span", { class: "np-unseen" }, say("whole_file")), file), stop), note.line);
  };

  npTools.add(() => {
    if (!nplug.has("src_lang") || !nplug.has("tgt_lang")) return;
    languages();
    npTools.place("np-whole", whole, "try-card");
  });
  // The card of the model and the options change without an answer.
  new MutationObserver(() => {
    if (window.nplug.form && nplug.has("src_lang") && document.getElementById("np-products")) languages();
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("nplug:changed", () => nplug.has("src_lang") && languages());
})();
