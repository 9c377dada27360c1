// The page that starts a training run, and the page of a run with its curves and log.
npw.training = (() => {
  const { say, el, get, post, remove, path, button, busy, field, input, select, deleting, messages } = npw;
  const EFFORTS = ["quick", "standard", "thorough"];
  const ADVANCED = ["epochs", "batch_size", "learning_rate", "max_length", "eval_share", "seed", "precisions"];
  const PAUSE = 1000; // milliseconds between two looks at a run

  const findings = (check) => el("div", {},
    el("ul", { class: "np-w-findings" }, check.findings.length
      ? check.findings.map((one) => {
        const message = `${one.message.replace(/\.$/, "")}${one.examples.length ? ` (${one.examples.join(", ")})` : ""}.${one.hint ? ` ${one.hint}` : ""}`;
        return el("li", { "data-severity": one.severity }, el("strong", {}, say(`severity_${one.severity}`)), ` ${one.told ?? message}`,
          one.told ? el("small", { lang: "en" }, message) : null);
      })
      : el("li", {}, say("check_ok"))),
    check.estimate ? el("p", { class: "np-w-info", id: "np-train-estimate" }, check.estimate) : null);

  const list = (overview, refresh) => {
    const note = messages();
    const rows = overview.runs.map((run) => el("li", { class: "np-w-item" },
      el("a", { href: `#/run/${run.name}` }, run.name), el("span", {}, npw.taskTitle(overview, run.task)), el("span", {}, run.dataset ? say("trained_on", { name: run.dataset }) : ""), el("span", {}, chip(run.stopping ? "stopping" : run.state)),
      run.state === "running" ? el("span", {}) : deleting(say("delete_run", { name: run.name }), note.trying(async () => { await remove(path("runs", run.name)); refresh(); }))));
    return el("section", { class: "np-card" }, el("h2", {}, say("runs")),
      rows.length ? el("ul", { class: "np-w-list" }, rows) : el("p", { class: "np-w-info" }, say("no_runs")), note.line);
  };

  const chip = (state) => el("span", { class: "np-chip np-w-state", "data-state": state }, say(`state_${state}`));

  const missing = (error) => el("div", { class: "np-card-message np-error", role: "alert", id: "np-train-missing" },
    el("strong", {}, say("missing")), el("p", {}, error.error), el("pre", {}, error.hint ?? ""));

  const gpuNote = ({ names, used }) => {
    if (!names.length) return null;
    const each = [...new Set(names)].map((name) => { const count = names.filter((one) => one === name).length; return count > 1 ? `${count} × ${name}` : name; });
    return el("p", { class: "np-w-info", id: "np-train-gpu" }, say(used ? "gpu_used" : "gpu_unused", { names: each.join(", ") }));
  };

  const page = (name, overview) => {
    const note = messages();
    const data = overview.datasets.find((one) => one.name === name);
    const task = overview.tasks.find((one) => one.name === data?.task);
    const free = (count) => `${name}-${count}`;
    let number = 1;
    while (overview.runs.some((run) => run.name === free(number))) number += 1;
    const named = input("np-train-name", { ".value": free(number), required: true });
    const base = input("np-train-base", { placeholder: task?.base ?? "", onchange: () => look() });
    const dial = el("input", { type: "range", id: "np-train-effort", min: 0, max: 2, step: 1, ".value": "1", "aria-valuetext": say("effort_standard"), oninput: () => {
      dial.setAttribute("aria-valuetext", say(`effort_${effort()}`));
      shown.textContent = say(`effort_${effort()}`);
    }, onchange: () => look() });
    const effort = () => EFFORTS[Number(dial.value)];
    const shown = el("output", { for: "np-train-effort" }, say("effort_standard"));
    const advanced = Object.fromEntries(ADVANCED.map((key) => [key, input(`np-train-${key}`, {
      placeholder: say("empty_chosen"), onchange: () => look(), inputmode: key === "precisions" ? "text" : "decimal" })]));
    const checked = el("div", { id: "np-train-check" });

    const values = () => {
      const settings = {};
      for (const [key, one] of Object.entries(advanced)) {
        const text = one.value.trim();
        if (!text) continue;
        settings[key] = key === "precisions" ? text.split(",").map((part) => part.trim()) : Number.isNaN(Number(text)) ? text : Number(text);
      }
      return { base: base.value.trim(), effort: effort(), settings };
    };
    const look = note.trying(async () => {
      const { check } = await post(path("datasets", name, "plan"), values());
      checked.replaceChildren(findings(check));
    });
    const start = note.trying(async () => {
      const run = await post(path("runs"), { ...values(), name: named.value.trim(), dataset: name });
      location.hash = `#/run/${run.name}`;
    });
    look();
    return el("div", { class: "np-w-page" },
      el("p", {}, el("a", { href: `#/data/${name}` }, `← ${name}`)),
      el("section", { class: "np-card" }, el("h2", {}, say("train_on", { name })),
        overview.missing ? missing(overview.missing) : null,
        gpuNote(overview.gpus),
        checked,
        el("form", { onsubmit: (event) => { event.preventDefault(); start(); } },
          el("div", { class: "np-w-line" }, field("name", named), field("base", base, "base_info")),
          el("label", { class: "np-w-field np-w-dial" }, el("span", {}, say("effort"), ": ", shown), dial),
          el("details", {}, el("summary", {}, say("advanced")), el("div", { class: "np-w-grid" }, ADVANCED.map((key) => field(key, advanced[key])))),
          el("div", { class: "np-w-line" }, el("button", { class: "np-button np-w-primary", id: "np-train-start", ".disabled": Boolean(overview.missing) || task?.trains === false }, say("start")))),
        note.line));
  };

  // The page of a run looks at the server again and again; nothing is kept in the browser.
  const run = (name) => {
    const note = messages();
    const lost = messages(); // of the looks, which must not take away what a button told
    const state = el("span", {});
    const actions = el("div", { class: "np-w-line" });
    const curves = el("div", { class: "np-w-charts", id: "np-run-curves" });
    const log = el("pre", { class: "np-w-log", id: "np-run-log", tabindex: "0", "aria-label": say("log") });
    const command = el("pre", { class: "np-w-log", id: "np-run-command" });
    const result = el("div", {});
    const root = el("div", { class: "np-w-page", "data-run": name });
    let known = "";
    let told = "";
    let drawn = false;

    // Off while it works: a second stop would end the run without a checkpoint.
    const act = (key, id, what, attributes = {}) => {
      const made = button(key, () => busy(made, async () => {
        await note.trying(() => post(path("runs", name, what)))();
        await look();
      }), { id, ...attributes });
      return made;
    };
    const draw = (now) => {
      root.dataset.state = now.state;
      const text = JSON.stringify([now.state, now.stopping, now.curve.length, now.log.length]);
      if (text === known) return;
      known = text;
      state.replaceChildren(chip(now.stopping ? "stopping" : now.state));
      const metric = now.numbers.metric;
      const series = (key) => now.curve.filter((one) => typeof one[key] === "number").map((one) => [one.step, one[key]]);
      const score = metric ? `eval_${metric}` : Object.keys(now.curve.find((one) => "eval_rows" in one) ?? {}).find((key) => key.startsWith("eval_") && key !== "eval_rows");
      curves.replaceChildren(...[npw.charts.line(say("loss"), series("loss"), say("step")),
        score ? npw.charts.line(npw.named("metric", score.slice(5)), series(score), say("step"), [0, Math.max(1, ...series(score).map(([, y]) => y))]) : null].filter(Boolean));
      const bottom = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      log.textContent = now.log;
      if (bottom) log.scrollTop = log.scrollHeight;
      command.textContent = now.command;
      const shown = now.stopping ? "stopping" : now.state;
      if (actions.dataset.of !== shown) { // a button keeps its focus
        actions.dataset.of = shown;
        actions.replaceChildren(...{
          running: [act("stop", "np-run-stop", "stop"), el("small", {}, say("stop_info"))],
          stopping: [act("stop_now", "np-run-stop-now", "stop", { class: "np-button np-w-danger" }), el("small", {}, say("stopping_info"))],
          stopped: [act("resume", "np-run-resume", "resume")],
          failed: [act("resume", "np-run-resume", "resume"), el("small", {}, say("failed_info"))],
        }[shown] ?? []);
      }
      if (now.state === "finished" && !drawn) { drawn = true; result.replaceChildren(npw.report(now)); }
    };
    // Whether it is of use to look again. A failure that lasts is told once.
    const look = async () => {
      try {
        draw(await get(path("runs", name)));
        if (told) lost.tell();
        told = "";
        return !drawn;
      } catch (error) {
        if (error.lost) error.hint = say("lost_run");
        if (error.message !== told) lost.tell(npw.errorCard(error));
        told = error.message;
        return Boolean(error.lost);
      }
    };
    // Until the page shows something else; a server that starts again is found again.
    const watch = async () => {
      if (await look() && root.isConnected) setTimeout(watch, PAUSE);
    };
    setTimeout(watch);
    root.append(
      el("p", {}, el("a", { href: "#/" }, `← ${say("back")}`)),
      el("section", { class: "np-card" }, el("div", { class: "np-w-head" }, el("h2", {}, name), state), lost.line, note.line, actions, curves),
      result,
      el("section", { class: "np-card" }, el("details", { ".open": true }, el("summary", {}, say("log")), log), el("details", {}, el("summary", {}, say("command")), command)));
    return root;
  };

  return { list, page, run, findings };
})();
