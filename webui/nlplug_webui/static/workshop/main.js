// The address of the workspace page says what it shows: #/, #/data/NAME?FILTERS, #/train/NAME, #/run/NAME.
(() => {
  const { say, el, decoded, get, path, errorCard } = npw;
  let turn = 0;

  // The title of the document names what is open.
  const entitled = (name) => {
    const header = document.querySelector("[data-title]");
    if (!header) return;
    header.dataset.page ??= header.dataset.title;
    header.dataset.title = name ? `${name} · ${header.dataset.page}` : header.dataset.page;
  };

  const absent = (key, name) => el("div", { class: "np-w-page" }, el("p", {}, el("a", { href: "#/" }, `← ${say("back")}`)),
    errorCard(new Error(say(key, { name }))));

  const content = (overview) => {
    const [where, query = ""] = location.hash.split("?");
    const [, kind, name] = where.split("/").map(decoded);
    const known = name && overview[kind === "run" ? "runs" : "datasets"].some((one) => one.name === name);
    entitled(name);
    if (name && !known) return absent(kind === "run" ? "no_such_run" : "no_such_data", name);
    if (kind === "data" && name) return npw.datasets.page(name, overview, new URLSearchParams(query));
    if (kind === "train" && name) return npw.training.page(name, overview);
    if (kind === "run" && name) return npw.training.run(name);
    return el("div", { class: "np-w-page" }, npw.datasets.list(overview, show), npw.training.list(overview, show),
      el("p", { class: "np-w-info" }, say("folder", { path: overview.path })));
  };

  // Where the focus was, it is on the heading afterwards: of the page that has opened, or of the same part.
  const replace = (root, drawn, opened) => {
    const parts = [...root.querySelectorAll("section")];
    const place = opened ? 0 : parts.findIndex((one) => one.contains(document.activeElement));
    const focused = root.contains(document.activeElement);
    root.replaceChildren(drawn);
    const heading = focused && root.querySelectorAll("section")[Math.max(0, place)]?.querySelector("h2");
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus();
  };

  const show = async (event) => {
    const root = document.getElementById("np-workshop");
    if (!root) return;
    turn += 1;
    const mine = turn;
    try {
      const overview = await get(path("overview"));
      if (mine !== turn) return;
      replace(root, overview.path
        ? content(overview)
        : el("section", { class: "np-card", id: "np-workspace-off" }, el("p", {}, say("off")), el("pre", {}, "nlplug webui --workspace FOLDER")), event?.type === "hashchange");
    } catch (error) {
      if (mine !== turn) return;
      root.replaceChildren(errorCard(error));
      if (error.lost) setTimeout(show, 2000);
    }
    root.dataset.ready = location.hash || "#/";
  };

  window.addEventListener("hashchange", show);
  // Gradio draws the page late, and again when the server has come back.
  let seen = null;
  new MutationObserver(() => {
    const root = document.getElementById("np-workshop");
    if (root && root !== seen) { seen = root; show(); }
  }).observe(document.body, { childList: true, subtree: true });
  show();
})();
