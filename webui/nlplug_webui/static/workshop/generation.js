// Texts that continue a prompt: presets of the options, another try, going on, and token probabilities.
(() => {
  const { say, el } = npw;
  const PRESETS = {
    focused: { do_sample: true, temperature: 0, top_p: 1, top_k: 50 },
    balanced: { do_sample: true, temperature: 0.7, top_p: 0.9, top_k: 50 },
    creative: { do_sample: true, temperature: 1.1, top_p: 0.95, top_k: 50 },
  };
  const input = () => nplug.form.fields.find((field) => field.input).key;
  const text = () => document.querySelector("#result .np-written .np-text")?.textContent ?? "";
  const one = () => document.querySelectorAll("#result .np-written").length === 1;

  const again = () => {
    const seed = nplug.value("seed"); // the same seed would give the same text
    if (seed === null || seed === undefined || seed === "") nplug.run();
    else nplug.set({ seed: Number(seed) + 1 }, nplug.run);
  };
  const goOn = () => {
    const prompt = String(nplug.value(input()) ?? "");
    const whole = text();
    nplug.set({ [input()]: whole.startsWith(prompt) ? whole : prompt + whole }, nplug.run);
  };

  const shades = el("input", { type: "checkbox", id: "np-probabilities", onchange: () => { npw.local("probabilities", String(shades.checked)); shade(); } });
  const shade = () => {
    document.getElementById("result").toggleAttribute("data-shaded", shades.checked);
  };

  npTools.add(() => {
    if (!nplug.form.continues || !Object.keys(PRESETS.focused).every(nplug.has)) return;
    const presets = npTools.place("np-presets", () => {
      const bar = el("div", { class: "np-w-line np-presets", role: "group", "aria-label": say("presets") }, el("span", { class: "np-w-info" }, say("presets")),
        Object.entries(PRESETS).map(([name, values]) => el("button", { type: "button", class: "np-button", "data-preset": name, title: say(`preset_${name}_info`), onclick: () => nplug.set(values) }, say(`preset_${name}`))));
      return bar;
    }, "options");
    const [first] = presets.parentElement.children; // in the order in which the keyboard reaches them
    if (first !== presets && presets.previousElementSibling !== first) first.after(presets);
    const bar = npTools.place("np-go-on", () => {
      shades.checked = npw.local("probabilities") === "true";
      return el("div", { class: "np-w-line" },
        el("button", { type: "button", class: "np-button", id: "np-again", onclick: again }, say("again")),
        el("button", { type: "button", class: "np-button", id: "np-continue", onclick: goOn }, say("go_on")),
        el("label", { class: "np-live", title: say("probabilities_info") }, shades, el("span", {}, say("probabilities"))));
    });
    bar.hidden = !one();
    shade();
  });
})();
