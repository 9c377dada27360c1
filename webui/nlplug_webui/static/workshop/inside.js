// The page that looks inside a model. The task is in the address: #/TASK.
(() => {
  const { say, el, get, post, messages, field, input, select, byTask, asking, inputs, whileTyping, notices } = npw;
  const path = (page, task) => `./np-${page}/tasks${task === undefined ? "" : `/${encodeURIComponent(task)}`}`;
  const percent = (share) => `${(share * 100).toFixed(1)} %`;
  const token = (text) => el("bdi", { class: "np-i-token" }, text);
  const list = (items) => el("ul", { class: "np-i-list" }, items.map((one) => el("li", {}, one)));
  const strongest = 5;

  const mean = (layers, shape) => {
    const heads = layers.flat();
    return shape.map((row, query) => row.map((_, key) => heads.reduce((sum, head) => sum + head[query][key], 0) / heads.length / 10));
  };

  // Numbers stand in all cells, so the shade says nothing that the text does not say.
  const heatMap = (one, layer, head) => {
    const layers = layer === "" ? one.layers : [one.layers[Number(layer)]];
    const weights = mean(layers.map((heads) => (head === "" ? heads : [heads[Number(head)]])), one.layers[0][0]);
    const links = weights.flatMap((row, query) => row.map((share, key) => ({ share, query, key })))
      .sort((a, b) => b.share - a.share).slice(0, strongest);
    const caption = `${say(`map_${one.name}`)} · ${say("layer")}: ${layer === "" ? say("mean") : Number(layer) + 1} · ${say("head")}: ${head === "" ? say("mean") : Number(head) + 1}`;
    return [
      el("div", { class: "np-w-wide np-i-map", tabindex: "0", role: "region", "aria-label": caption }, el("table", {},
        el("caption", { class: "np-w-info" }, caption),
        el("thead", {}, el("tr", {}, el("td"), one.keys.map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, weights.map((row, query) => el("tr", {}, el("th", { scope: "row", title: one.queries[query] }, one.queries[query]),
          row.map((share, key) => el("td", { style: `--shade:${Math.min(65, share).toFixed(0)}%`, title: say("link", { from: one.queries[query], to: one.keys[key], share: share.toFixed(1) }) }, share.toFixed(0)))))))),
      el("h3", {}, say("strongest")),
      el("ol", { class: "np-i-links" }, links.map(({ share, query, key }) => el("li", {}, say("link", { from: `“${one.queries[query]}”`, to: `“${one.keys[key]}”`, share: share.toFixed(1) })))),
    ];
  };

  // `chosen` keeps what is chosen here for the next answer: map, layer and head.
  const attention = (maps, chosen) => {
    const shown = el("div", { id: "np-i-map", "aria-live": "polite" });
    const numbered = (count) => [["", say("mean")], ...Array.from({ length: count }, (_, place) => [String(place), String(place + 1)])];
    const options = (box, pairs) => {
      const kept = pairs.some(([value]) => value === box.value) ? box.value : "";
      box.replaceChildren(...pairs.map(([value, text]) => el("option", { value, ".selected": value === kept }, text)));
    };
    const redraw = () => {
      const one = maps[Number(kind.value)];
      options(layer, numbered(one.layers.length));
      options(head, numbered(Math.min(...(layer.value === "" ? one.layers : [one.layers[Number(layer.value)]]).map((heads) => heads.length))));
      const part = one.of > Math.max(one.queries.length, one.keys.length);
      shown.replaceChildren(...(part ? [el("p", { class: "np-w-info" }, say("attention_part", { n: Math.max(one.queries.length, one.keys.length), m: one.of }))] : []), ...heatMap(one, layer.value, head.value));
    };
    const changed = () => {
      redraw();
      Object.assign(chosen, { kind: kind.value, layer: layer.value, head: head.value });
    };
    const first = chosen.kind in maps ? chosen.kind : String(maps.length - 1);
    const kind = select("np-i-kind", maps.map((one, place) => [String(place), say(`map_${one.name}`)]), first, changed);
    const layer = select("np-i-layer", numbered(maps[Number(first)].layers.length), chosen.layer ?? "", changed);
    const head = select("np-i-head", numbered(maps[Number(first)].layers[0].length), chosen.head ?? "", changed);
    redraw();
    return el("section", { class: "np-card" }, el("h2", {}, say("attention")), el("p", { class: "np-w-info" }, say("attention_info")),
      el("div", { class: "np-w-line" }, maps.length > 1 ? field("map", kind) : null, field("layer", layer), field("head", head)), shown);
  };

  const probabilities = (tokens) => el("section", { class: "np-card", id: "np-i-probabilities" }, el("h2", {}, say("inside_probabilities")), el("p", { class: "np-w-info" }, say("inside_probabilities_info")),
    el("div", { class: "np-w-wide", tabindex: "0" }, el("table", { class: "np-w-rows" },
      el("thead", {}, el("tr", {}, ["token", "probability", "inside_alternatives"].map((key) => el("th", { scope: "col" }, say(key))))),
      el("tbody", {}, tokens.map((one) => el("tr", {}, el("td", {}, token(one.text)),
        el("td", {}, el("span", { class: "np-i-bar", "aria-hidden": "true", style: `--share:${one.probability}` }), percent(one.probability)),
        el("td", {}, list(one.alternatives.map((other) => el("span", {}, token(other.text), ` ${percent(other.probability)}`))))))))));

  const neighbors = (tokens) => el("section", { class: "np-card", id: "np-i-neighbors" }, el("h2", {}, say("neighbors")), el("p", { class: "np-w-info" }, say("neighbors_info")),
    el("dl", { class: "np-i-near" }, tokens.map((one) => el("div", {}, el("dt", {}, token(one.text)),
      el("dd", {}, list(one.neighbors.map((other) => el("span", {}, token(other.text), ` ${other.cosine.toFixed(2)}`))))))));

  const page = (task, offer, given) => {
    const first = given.model ?? offer.models[0] ?? "";
    const names = el("datalist", { id: "np-i-models" }, offer.models.map((value) => el("option", { value })));
    const model = offer.any ? input("np-i-model", { list: names.id, ".value": first }) : select("np-i-model", offer.models.map((one) => [one, one]), first);
    const window_ = input("np-i-window", { type: "number", min: 1, value: given.window ?? 1, required: true });
    const text = inputs("np-i-field", offer.fields, given);
    const values = () => ({ ...text.changed(), model: model.value, window: window_.value });
    const note = messages();
    const live = whileTyping("np-i-live", `inside:${task}`, true, text);
    const chosen = {};
    const shown = el("div", { id: "np-i-found", class: "np-w-page", "aria-live": "polite" });
    const look = asking(note, shown, "looking", values, async (signal) => {
      const began = performance.now();
      const found = await post(path("inside", task), { model: model.value, window: Number(window_.value), values: text.values() }, signal);
      live.took((performance.now() - began) / 1000);
      return [
        el("p", { class: "np-w-info" }, [found.name, found.windows > 1 ? say("window_of", { n: found.window, m: found.windows }) : ""].filter(Boolean).join(" · ")),
        ...notices(found.notices),
        found.attention.length ? attention(found.attention, chosen) : null,
        found.probabilities.length ? probabilities(found.probabilities) : null,
        found.neighbors.length ? neighbors(found.neighbors) : null,
      ];
    });
    const form = live.listen(el("form", { class: "np-card", onsubmit: look }, field("model", model, offer.any ? "model_or_folder" : undefined), names, text.shown,
      field("window", window_), live.shown,
      el("div", { class: "np-w-line" }, el("button", { type: "submit", class: "np-button np-w-primary", id: "np-i-ask" }, say("look"))), note.line));
    return { parts: [form, shown], values };
  };

  byTask("np-inside", "np-i-task", () => get(path("compare")), (name) => get(path("compare", name)), page);
})();
