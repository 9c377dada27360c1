// The report of a finished run: scores, confusions with their rows, calibration, errors, gate, model.
npw.report = (() => {
  const { say, el, bytes, named, rowsOf, get, post, path, button, busy, command, messages, dataset } = npw;
  const percent = (value) => `${(value * 100).toFixed(1)} %`;
  const number = (value) => (typeof value === "number" ? value.toFixed(4) : String(value ?? ""));
  const table = (head, rows) => el("div", { class: "np-w-wide", tabindex: "0" }, el("table", { class: "np-w-rows" },
    el("thead", {}, el("tr", {}, head.map((one) => el("th", { scope: "col" }, one)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((one) => el("td", { dir: "auto" }, one)))))));

  const scores = (numbers) => {
    const { metric, interval, baselines = {} } = numbers;
    const range = Array.isArray(interval) ? `${number(interval[0])} – ${number(interval[1])}` : "";
    return el("section", { class: "np-card", id: "np-report-scores" }, el("h2", {}, say("report")),
      table(["", named("metric", metric), say("interval")], [[say("this_model"), number(numbers[metric]), range],
        ...Object.entries(baselines).map(([name, value]) => [say("baseline", { name: named("baseline", name) }), number(value), ""])]),
      el("p", { class: "np-w-info" }, say("measured", { n: numbers.rows })));
  };

  const confusion = (run) => {
    const { confusion: matrix, labels } = run.numbers;
    if (!matrix) return null;
    const names = Object.keys(labels);
    const note = messages();
    const rows = el("div", { id: "np-report-behind", "aria-live": "polite" });
    const open = note.trying(async (truth, given) => {
      const query = new URLSearchParams({ truth, given });
      const found = await get(`${path("runs", run.name, "behind")}?${query}`);
      rows.replaceChildren(el("h3", {}, say("behind", { truth, given })),
        found.rows.length ? table([say("text"), say("score")], found.rows.map((one) => [one.text, number(one.score)])) : el("p", {}, say("none")));
    });
    const most = Math.max(1, ...matrix.flat());
    return el("section", { class: "np-card", id: "np-report-confusion" }, el("h2", {}, say("confusion")), el("p", { class: "np-w-info" }, say("confusion_info")),
      el("div", { class: "np-w-wide" }, el("table", { class: "np-w-matrix" },
        el("thead", {}, el("tr", {}, el("td", {}), names.map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, matrix.map((counts, row) => el("tr", {}, el("th", { scope: "row" }, names[row]), counts.map((count, column) =>
          el("td", {}, el("button", { type: "button", class: "np-w-cell", style: `--share:${count / most}`, "data-same": String(row === column),
            ".disabled": !count, "aria-label": `${names[row]} → ${names[column]}: ${count}`, onclick: () => open(names[row], names[column]) }, String(count))))))))),
      note.line, rows);
  };

  const calibration = ({ bins }) => bins && el("section", { class: "np-card" }, npw.charts.calibration(say("calibration"), bins), el("p", { class: "np-w-info" }, say("calibration_info")));

  const mistakes = ({ mistakes: found }) => {
    if (!found) return null;
    const scored = found.some((one) => one.score);
    return el("section", { class: "np-card" }, el("h2", {}, say("mistakes")),
      found.length ? table([say("text"), say("truth"), say("model_answer"), ...(scored ? [say("score")] : [])],
        found.slice(0, 20).map((one) => [one.input, one.truth, one.answer, ...(scored ? [number(one.score)] : [])]))
        : el("p", { class: "np-w-info" }, say("no_mistakes")));
  };

  const gate = ({ gate: record }) => {
    if (!record) return null;
    return el("section", { class: "np-card", id: "np-report-gate" }, el("h2", {}, say("gate")),
      el("p", { class: "np-w-info" }, say("gate_info", { rows: rowsOf(record.rows), budget: (record.budget * 100).toFixed(2) })),
      table(["precision", "form", "size", "lost", "agreement", "outcome"].map((key) => say(key)), record.tried.map((one) => [
        one.precision, named("form", one.form), bytes(one.size), typeof one.loss === "number" ? (one.loss * 100).toFixed(2) : "",
        typeof one.agreement === "number" ? percent(one.agreement) : "",
        el("span", { class: "np-chip np-w-state", "data-state": one.refused ? "failed" : "finished" }, one.refused ? say("refused", { why: one.refused }) : say("kept"))])));
  };

  return (run) => {
    const { numbers } = run;
    const here = dataset().folders === "true";
    const query = new URLSearchParams({ model: run.model });
    const note = messages();
    const packing = button("wheel", note.trying(() => busy(packing, async () => {
      note.tell(el("p", { class: "np-w-info" }, say("packing")));
      const { file } = await post(path("runs", run.name, "wheel"));
      location.href = path("wheels", file);
      note.tell(el("div", {}, command(`pip install ${file}`), command(`nlplug run ${run.task} "…" --model ${run.name}`)));
    })), { id: "np-report-wheel" });
    const use = el("section", { class: "np-card" }, el("h2", {}, say("model")), el("div", { class: "np-w-line" },
      run.model && here ? el("a", { class: "np-button np-w-primary", id: "np-report-use", href: `./${run.task}?${query}` }, say("use")) : null,
      run.model ? packing : null,
      run.page ? el("a", { class: "np-button", id: "np-report-page", href: path("runs", run.name, "report"), target: "_blank", rel: "noopener" }, say("full_report")) : null),
    note.line, here ? null : el("p", { class: "np-w-info" }, say("use_packaged")));
    return el("div", { class: "np-w-page", id: "np-report" }, use, numbers.metric ? scores(numbers) : null, gate(numbers), confusion(run), calibration(numbers), mistakes(numbers));
  };
})();
