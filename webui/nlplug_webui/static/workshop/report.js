// The report of a finished run: scores, confusions with their rows, calibration, errors, gate, model.
npw.report = (() => {
  const { say, el, get, path, messages, dataset } = npw;
  const percent = (value) => `${(value * 100).toFixed(1)} %`;
  const number = (value) => (typeof value === "number" ? value.toFixed(4) : String(value ?? ""));
  const table = (head, rows) => el("div", { class: "np-w-wide" }, el("table", { class: "np-w-rows" },
    el("thead", {}, el("tr", {}, head.map((one) => el("th", { scope: "col" }, one)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((one) => el("td", {}, one)))))));

  const scores = (numbers) => {
    const { metric, interval, baselines = {} } = numbers;
    const range = Array.isArray(interval) ? `${number(interval[0])} – ${number(interval[1])}` : "";
    return el("section", { class: "np-card", id: "np-report-scores" }, el("h2", {}, say("report")),
      table(["", metric, say("interval")], [[say("this_model"), number(numbers[metric]), range],
        ...Object.entries(baselines).map(([name, value]) => [say("baseline", { name }), number(value), ""])]),
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
        found.rows.length ? table(["", say("score")], found.rows.map((one) => [one.text, number(one.score)])) : el("p", {}, say("none")));
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
    const names = [...new Set(found.flatMap((one) => Object.keys(one)))];
    const cell = (value) => (typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? number(value) : String(value ?? ""));
    return el("section", { class: "np-card" }, el("h2", {}, say("mistakes")),
      found.length ? table(names, found.slice(0, 20).map((one) => names.map((name) => cell(one[name])))) : el("p", { class: "np-w-info" }, say("no_mistakes")));
  };

  const gate = ({ gate: record }) => {
    if (!record) return null;
    return el("section", { class: "np-card", id: "np-report-gate" }, el("h2", {}, say("gate")),
      el("p", { class: "np-w-info" }, say("gate_info", { rows: record.rows, budget: (record.budget * 100).toFixed(2) })),
      table(["precision", "form", "size", "lost", "agreement", "outcome"].map((key) => say(key)), record.tried.map((one) => [
        one.precision, one.form, `${(one.size / 1e6).toFixed(1)} MB`, typeof one.loss === "number" ? (one.loss * 100).toFixed(2) : "",
        typeof one.agreement === "number" ? percent(one.agreement) : "",
        el("span", { class: "np-chip np-w-state", "data-state": one.refused ? "failed" : "finished" }, one.refused ? say("refused", { why: one.refused }) : say("kept"))])));
  };

  return (run) => {
    const { numbers } = run;
    const here = dataset().folders === "true";
    const query = new URLSearchParams({ model: run.model });
    const use = el("section", { class: "np-card" }, el("h2", {}, say("model")), el("div", { class: "np-w-line" },
      run.model && here ? el("a", { class: "np-button np-w-primary", id: "np-report-use", href: `./${run.task}?${query}` }, say("use")) : null,
      run.model ? el("a", { class: "np-button", id: "np-report-wheel", href: path("runs", run.name, "wheel"), download: "" }, say("wheel")) : null,
      run.page ? el("a", { class: "np-button", id: "np-report-page", href: path("runs", run.name, "report"), target: "_blank", rel: "noopener" }, say("full_report")) : null),
    here ? null : el("p", { class: "np-w-info" }, say("use_packaged")));
    return el("div", { class: "np-w-page", id: "np-report" }, use, numbers.metric ? scores(numbers) : null, gate(numbers), confusion(run), calibration(numbers), mistakes(numbers));
  };
})();
