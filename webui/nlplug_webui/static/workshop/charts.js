// Line and bar charts as SVG.
npw.charts = (() => {
  const { el } = npw;
  const WIDTH = 520;
  const HEIGHT = 180;
  const LEFT = 56;
  const BOTTOM = 24;

  const svg = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const short = (value) => (value && Math.abs(value) < 0.001 ? value.toExponential(1) : Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString());
  const frame = (title, ...parts) => el("figure", { class: "np-w-chart" }, el("figcaption", {}, title),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title }, ...parts));
  const label = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);

  // Points [x, y] as a line, with the least and the greatest values at the axes.
  const line = (title, points, unit, range) => {
    if (!points.length) return null;
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const [low, high] = range ?? [Math.min(...ys), Math.max(...ys)];
    const [first, last] = [Math.min(...xs), Math.max(...xs)];
    const at = ([x, y]) => [
      LEFT + ((x - first) / (last - first || 1)) * (WIDTH - LEFT - 12),
      10 + (1 - (y - low) / (high - low || 1)) * (HEIGHT - BOTTOM - 16),
    ];
    const path = points.map((point) => at(point).map((value) => value.toFixed(1)).join(",")).join(" ");
    return frame(`${title}: ${short(ys.at(-1))}`,
      svg("line", { x1: LEFT, y1: HEIGHT - BOTTOM, x2: WIDTH - 8, y2: HEIGHT - BOTTOM, class: "np-w-axis" }),
      svg("polyline", { points: path, class: "np-w-curve" }),
      ...points.length < 40 ? points.map((point) => svg("circle", { cx: at(point)[0], cy: at(point)[1], r: 2.5, class: "np-w-point" })) : [],
      label(LEFT - 6, 16, short(high), "end"), label(LEFT - 6, HEIGHT - BOTTOM, short(low), "end"),
      label(LEFT, HEIGHT - 6, `${unit} ${first}`, "start"), label(WIDTH - 10, HEIGHT - 6, String(last), "end"));
  };

  // Share of right answers by score, beside the diagonal.
  const calibration = (title, bins) => {
    const side = HEIGHT - BOTTOM - 10;
    const wide = WIDTH - LEFT - 12;
    const bars = bins.filter((bin) => bin.count).map((bin) => svg("rect", {
      x: LEFT + bin.low * wide + 2, width: (bin.high - bin.low) * wide - 4,
      y: 10 + (1 - bin.accuracy) * side, height: Math.max(1, bin.accuracy * side), class: "np-w-bar",
    }, svg("title", {}, `${bin.low.toFixed(1)}–${bin.high.toFixed(1)}: ${(bin.accuracy * 100).toFixed(0)} % (${bin.count})`)));
    return frame(title, ...bars,
      svg("line", { x1: LEFT, y1: 10 + side, x2: LEFT + wide, y2: 10, class: "np-w-diagonal" }),
      label(LEFT - 6, 16, "1", "end"), label(LEFT - 6, 10 + side, "0", "end"),
      label(LEFT, HEIGHT - 6, "0", "start"), label(WIDTH - 10, HEIGHT - 6, "1", "end"));
  };

  return { line, calibration };
})();
