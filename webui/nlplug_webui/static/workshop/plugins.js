// The page of plugins: the commands to install and remove them, and buttons where these are allowed.
(() => {
  const { say, el, get, post, messages, title, command, filled, errorCard } = npw;

  const fill = async (root) => {
    let found;
    try { found = await get("./np-plugins/list"); } catch (error) { root.replaceChildren(errorCard(error)); return; }
    const change = (kind, name, note) => note.trying(async () => {
      note.tell(el("p", {}, say("changing")));
      const done = await post(`./np-plugins/${kind}`, { name });
      const log = el("pre", { class: "np-w-log", tabindex: "0", "aria-label": say("log") }, done.output);
      note.tell(el("p", {}, say(done.ok ? "changed" : "change_failed")), log);
      log.scrollTop = log.scrollHeight; // the reason is at its end
      note.line.scrollIntoView({ block: "nearest" });
      return done.ok;
    });

    // A button that acts at the second click. It keeps the focus while it works; what it has done is done until the server
    // starts again.
    const acting = (kind, name, note) => {
      let sure = null; // the timer of the first click
      const rest = () => { clearTimeout(sure); sure = null; made.textContent = say(kind); };
      const made = el("button", { type: "button", class: "np-button", "data-change": kind, "data-name": name, ".disabled": Boolean(found.off), title: found.off ? say(found.off) : null,
        onclick: async () => {
          if (made.ariaDisabled === "true") return;
          if (!sure) {
            made.textContent = say(`sure_${kind}`);
            sure = setTimeout(rest, 4000);
            return;
          }
          rest();
          made.ariaDisabled = "true";
          made.ariaDisabled = String(Boolean(await change(kind, name, note)()));
        } }, say(kind));
      return made;
    };
    const line = (name, about, kind, what, dist) => {
      const note = messages();
      const made = acting(kind, what, note);
      if (found.changed.includes(dist)) {
        made.ariaDisabled = "true";
        note.tell(el("p", {}, say("changed")));
      }
      return el("li", { class: "np-p-line", "data-dist": name }, el("div", {}, el("strong", {}, name), el("span", { class: "np-w-info" }, about)),
        el("div", { class: "np-p-do" }, command(`nlplug plugins ${kind} ${what}`), made), note.line);
    };

    const byDist = Map.groupBy ? Map.groupBy(found.plugins, (one) => one.dist) : found.plugins.reduce((map, one) => map.set(one.dist, [...(map.get(one.dist) ?? []), one]), new Map());
    const installed = [...byDist].sort().map(([dist, plugins]) =>
      line(dist, say("brings", { names: plugins.map((one) => one.name).join(", ") }), "uninstall", dist, dist));
    const others = found.others.map((one) => line(one.name, title(one.about), "install", one.name, `nlplug-${one.name}`));
    root.replaceChildren(el("div", { class: "np-w-page" },
      found.off ? el("p", { class: "np-w-info", id: "np-p-off" }, say(found.off)) : null,
      el("section", { class: "np-card", id: "np-p-others" }, el("h2", {}, say("others")), others.length ? el("ul", {}, others) : el("p", { class: "np-w-info" }, say("all_installed"))),
      installed.length ? el("section", { class: "np-card", id: "np-p-installed" }, el("h2", {}, say("installed")), el("ul", {}, installed)) : null));
  };
  filled("np-plugins", fill);
})();
