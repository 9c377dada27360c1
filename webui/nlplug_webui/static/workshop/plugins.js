// The page of plugins: the commands to install and remove them, and buttons where these are allowed.
(() => {
  const { say, el, get, post, messages, title, command, filled, errorCard } = npw;

  const fill = async (root) => {
    let found;
    try { found = await get("./np-plugins/list"); } catch (error) { root.replaceChildren(errorCard(error)); return; }
    const note = messages();
    const change = (kind, name) => note.trying(async () => {
      note.tell(el("p", {}, say("changing")));
      const done = await post(`./np-plugins/${kind}`, { name });
      note.tell(el("p", {}, say(done.ok ? "changed" : "change_failed")), el("pre", { class: "np-w-log", tabindex: "0" }, done.output));
    });

    // A button that acts at the second click.
    const acting = (kind, name) => {
      let sure = false;
      const made = el("button", { type: "button", class: "np-button", "data-change": kind, "data-name": name, ".disabled": Boolean(found.off), title: found.off ? say(found.off) : null,
        onclick: async () => {
          if (!sure) {
            sure = true;
            made.textContent = say(`sure_${kind}`);
            setTimeout(() => { sure = false; made.textContent = say(kind); }, 4000);
            return;
          }
          made.disabled = true;
          await change(kind, name)();
          made.disabled = false;
        } }, say(kind));
      return made;
    };
    const line = (name, about, kind, what) => el("li", { class: "np-p-line", "data-dist": name }, el("div", {}, el("strong", {}, name), el("span", { class: "np-w-info" }, about)),
      el("div", { class: "np-p-do" }, command(`nlplug plugins ${kind} ${what}`), acting(kind, what)));

    const byDist = Map.groupBy ? Map.groupBy(found.plugins, (one) => one.dist) : found.plugins.reduce((map, one) => map.set(one.dist, [...(map.get(one.dist) ?? []), one]), new Map());
    const installed = [...byDist].sort().map(([dist, plugins]) =>
      line(dist, say("brings", { names: plugins.map((one) => one.name).join(", ") }), "uninstall", dist));
    const others = found.others.map((one) => line(one.name, title(one.about), "install", one.name));
    root.replaceChildren(el("div", { class: "np-w-page" },
      found.off ? el("p", { class: "np-w-info", id: "np-p-off" }, say(found.off)) : null, note.line,
      el("section", { class: "np-card", id: "np-p-others" }, el("h2", {}, say("others")), others.length ? el("ul", {}, others) : el("p", { class: "np-w-info" }, say("all_installed"))),
      installed.length ? el("section", { class: "np-card", id: "np-p-installed" }, el("h2", {}, say("installed")), el("ul", {}, installed)) : null));
  };
  filled("np-plugins", fill);
})();
