// The page that compares two models. The task is in the address: #/TASK.
(() => {
  const { say, el, bytes, named, rowsOf, get, post, messages, field, input, select, title, byTask, asking, inputs, whileTyping, copyButton, errorCard, notices } = npw;
  const path = (...parts) => `./np-compare/${parts.map(encodeURIComponent).join("/")}`;
  const percent = (share) => `${(share * 100).toFixed(2)} %`;
  const points = (value) => (typeof value === "number" ? `${value < 0 ? "" : "+"}${(value * 100).toFixed(2)}` : "");
  const milliseconds = (seconds) => `${(seconds * 1000).toFixed(seconds < 0.01 ? 2 : 0)} ms`;
  const table = (head, rows) => el("div", { class: "np-w-wide", tabindex: "0" }, el("table", { class: "np-w-rows" },
    el("thead", {}, el("tr", {}, head.map((one) => el("th", { scope: "col" }, one)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((one) => el("td", { dir: "auto" }, one)))))));

  const gate = (model) => {
    const record = model.gate;
    const head = el("h3", {}, say("gate_of", { name: model.name }));
    if (!record?.precisions.some((one) => typeof one.loss === "number")) return el("section", {}, head, el("p", { class: "np-w-info" }, say("gate_none")));
    const told = [record.rows && say("gate_about", { rows: rowsOf(record.rows) }), record.budget && say("gate_budget", { budget: (record.budget * 100).toFixed(2) })];
    const range = (one) => (typeof one.low === "number" ? `${points(one.low)} – ${points(one.high)}` : "");
    return el("section", { class: "np-c-gate" }, head, el("p", { class: "np-w-info" }, told.filter(Boolean).join(say("sentence_gap"))),
      table(["precision", "size", "lost", "interval", "agreement", "outcome"].map((key) => say(key)), [
        ...record.precisions.map((one) => [one.precision, bytes(one.size), points(one.loss), range(one), typeof one.agreement === "number" ? percent(one.agreement) : "", say("kept")]),
        ...Object.entries(record.refused).map(([name, why]) => [name, "", "", "", "", say("refused", { why })])]));
  };

  // The choice of one model and its precision; tells `changed` about the model once it is known.
  const side = (place, offer, task, changed, given) => {
    const id = `np-c-${place}`;
    const list = el("datalist", { id: `${id}-list` }, offer.models.map((value) => el("option", { value })));
    const first = offer.models[0] ?? "";
    const named = given[`${place}-model`] ?? first;
    const model = offer.any
      ? input(`${id}-model`, { list: list.id, ".value": named, onchange: () => { looking = look(); } })
      : select(`${id}-model`, offer.models.map((one) => [one, one]), named, () => { looking = look(); });
    const precision = select(`${id}-precision`, [["auto", "auto"]], "auto");
    const size = el("span", { class: "np-w-info" });
    const note = el("div", { "aria-live": "polite" });
    let looking = null;
    let wished = given[`${place}-precision`]; // the one of the address, for the first model
    let untouched = place === "second" && !(`${place}-model` in given);
    const look = async () => {
      note.replaceChildren();
      const wanted = model.value;
      try {
        const found = await get(`${path("tasks", task, "model")}?${new URLSearchParams({ model: wanted })}`);
        if (wanted !== model.value) return;
        const names = Object.keys(found.precisions);
        if (untouched && names.length < 2 && offer.other) {
          untouched = false;
          model.value = offer.other;
          await look();
          return;
        }
        untouched = false;
        const usual = place === "second" && wanted === first && names.length > 1 ? names[1] : names.length === 1 ? names[0] : "auto";
        const chosen = ["auto", ...names].includes(wished) ? wished : usual;
        wished = null;
        precision.replaceChildren(...["auto", ...names].map((one) => el("option", { value: one, ".selected": one === chosen }, one)));
        size.textContent = names.map((one) => `${one}: ${bytes(found.precisions[one])}`).join(", ");
        changed(place, found);
      } catch (error) {
        note.replaceChildren(errorCard(error));
        changed(place, null);
      }
    };
    looking = look();
    const shown = el("fieldset", { class: "np-c-side" }, el("legend", {}, say(place)), field("model", model, offer.any ? "model_or_folder" : undefined), list, field("precision", precision), size, note);
    const value = () => ({ model: model.value, precision: precision.value });
    const values = () => ({ [`${place}-model`]: model.value, [`${place}-precision`]: precision.value });
    return { shown, value, values, ready: () => looking };
  };
  const ready = (sides) => Promise.all(sides.map((one) => one.ready()));

  // A known column in the language of the page.
  const heading = (name) => { const told = say(`col_${name}`); return told === `col_${name}` ? name : told; };

  const answer = (one) => {
    const cell = (parts) => parts.map(([text, differs]) => (differs ? el("mark", { class: "np-c-mark" }, text) : text));
    const names = [...new Set(one.rows.flatMap((row) => Object.keys(row)))];
    const plain = one.rows.map((row) => names.map((name) => (row[name] ?? []).map(([text]) => text).join("")).join("\t")).join("\n");
    return el("article", { class: "np-c-answer" }, el("div", { class: "np-w-head" }, el("h3", {}, one.name), one.rows.length ? copyButton(plain) : null),
      el("p", { class: "np-w-info" }, `${milliseconds(one.seconds)} · ${bytes(one.size)}`),
      notices(one.notices),
      one.rows.length ? table(names.map(heading), one.rows.map((row) => names.map((name) => el("span", {}, cell(row[name] ?? []))))) : el("p", {}, say("nothing_found")));
  };

  // The options of a task in a fold; `changed` gives the values that differ from those shown first.
  const optionForm = (offered, given) => {
    const made = offered.map((one) => {
      const named = given[`option-${one.name}`];
      const attributes = { id: `np-c-option-${one.name}`, class: "np-w-input", dir: "auto" };
      const shown = one.kind === "choice" ? select(attributes.id, title(one.choices).map(([text, value]) => [value, text]), one.value)
        : one.kind === "switch" ? el("input", { id: attributes.id, type: "checkbox", ".checked": one.value })
        : one.kind === "number" || one.kind === "slider" ? el("input", { ...attributes, type: "number", step: "any", ".value": one.value ?? "" })
        : el(one.lines > 1 ? "textarea" : "input", { ...attributes, rows: one.lines > 1 ? 3 : null, ".value": one.value ?? "" });
      const read = () => (shown.type === "checkbox" ? shown.checked : shown.type === "number" ? (shown.value === "" ? null : Number(shown.value)) : shown.value);
      const first = read();
      if (named !== undefined && shown.type === "checkbox") shown.checked = named === "true";
      else if (named !== undefined) shown.value = named;
      return { name: one.name, read, first, shown: el("label", { class: shown.type === "checkbox" ? "np-live np-c-switch" : "np-w-field" }, shown.type === "checkbox" ? shown : null,
        el("span", {}, title(one.title) ?? one.name), shown.type === "checkbox" ? null : shown, el("small", { class: "np-w-info" }, title(one.help))) };
    });
    const changed = () => Object.fromEntries(made.filter((one) => one.read() !== one.first).map((one) => [one.name, one.read()]));
    const values = () => Object.fromEntries(Object.entries(changed()).map(([name, value]) => [`option-${name}`, String(value ?? "")]));
    return { changed, values, shown: el("details", { class: "np-card np-c-options", open: Object.keys(changed()).length > 0 }, el("summary", {}, say("options")), el("p", { class: "np-w-info" }, say("options_info")), el("div", { class: "np-c-beside" }, made.map((one) => one.shown))) };
  };

  const download = (key, name, type, content) => {
    const link = el("a", { class: "np-button", download: name, href: URL.createObjectURL(new Blob([content], { type })) }, say(key));
    link.id = `np-c-${key}`;
    return link;
  };

  const compared = (result) => {
    const { report, notices: told, ...values } = result;
    const judged = "metric" in result; // else the file has no right answers
    const scored = result.disagreements.some((one) => one.scores.some(Boolean));
    const given = (one, place) => (scored ? `${one.answers[place]} (${one.scores[place].toFixed(3)})` : one.answers[place]);
    const number = (value) => value.toFixed(4);
    const gain = () => {
      const { mean, low, high } = result.gain;
      return el("p", { class: "np-w-info" }, say("gain", { metric: named("metric", result.metric), mean: number(mean), low: number(low), high: number(high) }));
    };
    const pace = (one) => [bytes(one.size), one.rate.toFixed(0), milliseconds(one.cpu)];
    const names = result.sides.map((one) => one.name);
    return [
      el("p", { id: "np-c-agree" }, el("strong", {}, say("agree", { share: percent(result.agreement), n: result.rows, m: result.different }))),
      judged ? gain() : null,
      ...notices([...new Set(told.flatMap((texts, place) => texts.map((text) => `${names[place]}: ${text}`)))]),
      table([say("model"), ...(judged ? [named("metric", result.metric), say("interval")] : []), say("size"), say("speed"), say("cpu")], result.sides.map((one) => [
        one.name, ...(judged ? [number(one.score), one.interval.map(number).join(" – ")] : []), ...pace(one)])),
      el("div", { class: "np-w-line" }, download("download_report", "report.html", "text/html", report), download("download_json", "comparison.json", "application/json", JSON.stringify(values, null, 2))),
      result.disagreements.length ? el("h3", {}, say("disagreements", { n: result.disagreements.length, m: result.different })) : null,
      result.disagreements.length ? table([say("place"), say("text"), ...(judged ? [say("truth")] : []), ...names],
        result.disagreements.map((one) => [one.source, one.input, ...(judged ? [one.truth] : []), given(one, 0), given(one, 1)])) : null,
    ].filter(Boolean);
  };

  const page = (task, offer, given) => {
    const gates = el("section", { class: "np-card", id: "np-c-gates" }, el("h2", {}, say("gate")));
    const known = {};
    const changed = (place, model) => {
      known[place] = model;
      const models = Object.values(known).filter(Boolean);
      const names = new Set();
      warn();
      gates.replaceChildren(el("h2", {}, say("gate")), ...models.filter((one) => !names.has(one.name) && names.add(one.name)).map(gate));
    };
    // Two sides that are the same cannot differ: the page says so, and how to get another model.
    const alike = el("p", { class: "np-w-info", id: "np-c-alike", role: "status" });
    const warn = () => {
      const [one, two] = sides.map((each) => each.value());
      const same = known.first && known.second && one.model === two.model && one.precision === two.precision;
      alike.textContent = same ? say(offer.any ? "alike_any" : "alike") : "";
    };
    const sides = ["first", "second"].map((place) => side(place, offer, task, changed, given));
    const [one, two] = sides;
    const options = optionForm(offer.options, given);
    const text = inputs("np-c-field", offer.fields, given);
    const values = () => ({ ...text.changed(), ...one.values(), ...two.values(), ...options.values() });
    return {
      values,
      parts: [el("section", { class: "np-card", onchange: warn }, el("div", { class: "np-c-beside" }, sides.map((each) => each.shown)), alike), options.shown,
        onText(task, offer, sides, options, text, values), onFile(task, offer, sides, options), gates],
    };
  };

  const onText = (task, offer, sides, options, text, values) => {
    const note = messages();
    const shown = el("div", { id: "np-c-answers", "aria-live": "polite" });
    const live = whileTyping("np-c-live", `compare:${task}`, offer.live, text);
    const ask = asking(note, shown, "working", values, async (signal) => {
      const found = await post(path("tasks", task, "text"), { sides: sides.map((one) => one.value()), values: text.values(), options: options.changed() }, signal);
      live.took(found.sides.reduce((sum, one) => sum + one.seconds, 0));
      return [el("p", { class: "np-c-verdict", "data-same": String(found.same) }, say(found.same ? "same_answer" : "other_answer")), el("div", { class: "np-c-beside" }, found.sides.map(answer))];
    }, () => ready(sides));
    return live.listen(el("form", { class: "np-card", onsubmit: ask }, el("h2", {}, say("on_text")), text.shown, live.shown,
      el("div", { class: "np-w-line" }, el("button", { type: "submit", class: "np-button np-w-primary", id: "np-c-ask" }, say("compare"))), note.line, shown));
  };

  const onFile = (task, offer, sides, options) => {
    const file = input("np-c-file", { type: "file", required: true });
    const limit = input("np-c-limit", { type: "number", min: 1, value: 1000, required: true });
    const labelled = el("input", { type: "checkbox", id: "np-c-labelled", ".checked": offer.scores, disabled: !offer.scores });
    const note = messages();
    const shown = el("div", { id: "np-c-result", "aria-live": "polite" });
    const [one, two] = sides;
    const query = () => ({ name: file.files[0]?.name ?? "", first: one.value().model, first_precision: one.value().precision,
      second: two.value().model, second_precision: two.value().precision, limit: limit.value, labelled: labelled.checked, options: JSON.stringify(options.changed()) });
    const ask = asking(note, shown, "working", query, async (signal) =>
      compared(await npw.upload(`${path("tasks", task, "file")}?${new URLSearchParams(query())}`, file.files[0], signal)), () => ready(sides));
    return el("form", { class: "np-card", onsubmit: ask }, el("h2", {}, say("on_file")), el("p", { class: "np-w-info" }, say(offer.scores ? "on_file_info" : "no_scores")),
      el("div", { class: "np-w-line" }, field("file", file), field("limit", limit), el("button", { type: "submit", class: "np-button np-w-primary", id: "np-c-ask-file" }, say("compare"))),
      el("label", { class: "np-live" }, labelled, el("span", {}, say("labelled"))), note.line, shown);
  };

  byTask("np-compare", "np-c-task", () => get(path("tasks")), (name) => get(path("tasks", name)), page);
})();
