"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const MOST = data.looks.hues.length - 1;
  const views = {};
  const state = { study: 0, metric: 0, mode: "diff", group: "all", sort: "count", cls: 0, by: "class", shown: [] };

  const study = () => data.studies[state.study];
  const metric = () => data.metrics[state.metric];
  const table = (kind) => study().values[metric().name][kind];
  const number = (x, sign) => x === null || x === undefined ? "–" : (sign && x >= 0 ? "+" : "") + x.toFixed(3).replace("-", "−");
  const interval = (low, high, sign) => low === null ? "" : `[${number(low, sign)}, ${number(high, sign)}]`;
  const make = (tag, text, name) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (name) node.className = name;
    return node;
  };

  function fill(select, texts, chosen) {
    select.replaceChildren(...texts.map((text, i) => new Option(text, String(i), false, i === chosen)));
  }

  function tableOf(columns, rows) {
    const made = make("table");
    const head = made.createTHead().insertRow();
    columns.forEach((text) => { const th = make("th", text); th.scope = "col"; head.append(th); });
    const body = made.createTBody();
    rows.forEach((row) => {
      const tr = body.insertRow();
      row.forEach((cell) => tr.append(make("td", typeof cell === "number" ? String(cell) : cell, typeof cell === "number" ? "n" : "")));
    });
    return made;
  }

  // the columns that the mode asks for
  function columns(t) {
    return state.mode === "diff" ? [t.diff, t.diff_low, t.diff_high] : [t.mean, t.low, t.high];
  }

  function visibleClasses() {
    const s = study();
    return s.classes.map((c, i) => i).filter((i) => state.group === "all" || (state.group === "low") === s.classes[i].low);
  }

  function ordered(indices) {
    const s = study(), n = s.classes.length, [mean] = columns(table("classes"));
    const effect = (i) => Math.max(...state.shown.map((j) => mean[j * n + i]).filter((x) => x !== null).map(Math.abs), -1);
    const by = {
      count: (a, b) => s.classes[a].train - s.classes[b].train || a - b,
      effect: (a, b) => effect(b) - effect(a) || a - b,
      name: (a, b) => s.classes[a].name.localeCompare(s.classes[b].name),
    };
    return [...indices].sort(by[state.sort]);
  }

  const classLabel = (i) => `${study().classes[i].name} (${study().classes[i].train.toLocaleString("en")})`;
  const shownSettings = () => state.mode === "diff" && state.shown.length ? state.shown : [0, ...state.shown];
  const names = (indices) => indices.map((i) => study().settings[i]);
  // a setting looks the same in every chart
  function looks(texts, indices) {
    const some = (range) => indices.map((j) => range[j === 0 ? 0 : 1 + state.shown.indexOf(j)]);
    return { shown: texts, hues: some(data.looks.hues), marks: some(data.looks.marks), dashes: some(data.looks.dashes) };
  }
  const slotsFor = (indices) => looks(names(indices), indices);
  const axis = () => state.mode === "diff" ? `difference in ${metric().label}` : metric().label;

  function classRows() {
    const s = study(), n = s.classes.length, t = table("classes"), [mean, low, high] = columns(t);
    const rows = [];
    ordered(visibleClasses()).forEach((i, order) => shownSettings().forEach((j, slot) => {
      const at = j * n + i;
      if (mean[at] !== null) rows.push({ class: classLabel(i), setting: s.settings[j], order, slot, mean: mean[at], low: low[at] ?? mean[at], high: high[at] ?? mean[at] });
    }));
    return rows;
  }

  function tradeoffRows(indices) {
    const s = study(), [mean, low, high] = columns(table("groups"));
    return indices.filter((j) => mean[2 * j] !== null && mean[2 * j + 1] !== null).map((j, slot) => ({
      setting: s.settings[j], slot,
      rare: mean[2 * j], rare_low: low[2 * j] ?? mean[2 * j], rare_high: high[2 * j] ?? mean[2 * j],
      rest: mean[2 * j + 1], rest_low: low[2 * j + 1] ?? mean[2 * j + 1], rest_high: high[2 * j + 1] ?? mean[2 * j + 1],
    }));
  }

  function curveRows() {
    const s = study(), rows = [];
    [0, ...state.shown].forEach((j, slot) => {
      const curve = s.curves[j][state.cls];
      if (curve) curve.forEach((p, i) => rows.push({ setting: s.settings[j], slot, recall: i / (curve.length - 1), precision: p / 1000 }));
    });
    return rows;
  }

  function distributionShown() {
    const wanted = names(state.shown);
    return study().distributions.filter((d, i) => i === 0 || wanted.includes(d.name));
  }

  function distributionRows() {
    const rows = [];
    ordered(visibleClasses()).forEach((i, order) => distributionShown().forEach((d, slot) => {
      if (d.counts[i] > 0) rows.push({ class: classLabel(i), setting: d.name, order, slot, count: d.counts[i] });
    }));
    return rows;
  }

  function togetherRows() {
    const s = study(), rows = [], some = ordered(visibleClasses()).slice(0, 40);
    some.forEach((i, order) => some.forEach((k, other_order) => rows.push({
      class: s.classes[i].name, other: s.classes[k].name, order, other_order,
      images: s.together[i][k], share: s.together[i][i] ? s.together[i][k] / s.together[i][i] : 0,
    })));
    return rows;
  }

  const HUES = { yes: "#D55E00", no: "#7a7a7a", good: "#0072B2", wrong: "#CC79A7" };
  function mapped() {
    const s = study(), m = s.map, c = state.cls;
    let kinds, hues, kindOf;
    if (state.by === "class") {
      kinds = [`has ${s.classes[c].name}`, "has not"]; hues = [HUES.yes, HUES.no];
      kindOf = (i) => m.labels[i].includes(c) ? 0 : 1;
    } else if (state.by === "error") {
      kinds = ["found", "missed", "wrongly predicted", "rightly not predicted"]; hues = [HUES.good, HUES.yes, HUES.wrong, HUES.no];
      kindOf = (i) => {
        if (i < m.train) return -1;
        const has = m.labels[i].includes(c), said = m.scores[i - m.train][c] > m.thresholds[c];
        return has ? (said ? 0 : 1) : (said ? 2 : 3);
      };
    } else {
      const kept = m.kept[state.by];
      kinds = ["drawn", "left out"]; hues = [HUES.good, HUES.no];
      kindOf = (i) => i < m.train ? (kept[i] ? 0 : 1) : -1;
    }
    const rows = [];
    m.x.forEach((x, i) => {
      const kind = kindOf(i);
      if (kind < 0) return;
      rows.push({
        x, y: m.y[i], kind: kinds[kind], rank: -kind, id: m.id[i], image: m.image[i], part: i < m.train ? "training image" : "test image",
        labels: m.labels[i].map((k) => s.classes[k].name).join(", "),
        score: i < m.train ? "" : `baseline's score for ${s.classes[c].name}: ${number(m.scores[i - m.train][c] / 1000)}`,
      });
    });
    const percent = (k) => `component ${k + 1} (${(100 * m.explained[k]).toFixed(1)} % of the variance)`;
    return { rows, signals: { kinds, hues, marks: data.looks.marks.slice(0, kinds.length), xtitle: percent(0), ytitle: percent(1) } };
  }

  const tooltip = {
    formatTooltip(value, sanitize) {
      if (typeof value !== "object" || value === null) return sanitize(value);
      const picture = Number.isInteger(value.image) ? `<img alt="" src="${data.thumbnails[value.image]}">` : "";
      const lines = Object.entries(value).filter(([key, text]) => key !== "image" && text !== "" && text !== undefined);
      const plain = "id" in value;
      return picture + lines.map(([key, text]) => plain ? `<div>${sanitize(String(text))}</div>` : `<div>${sanitize(key)}: <b>${sanitize(String(text))}</b></div>`).join("");
    },
  };

  const numberTables = {
    classes: () => tableOf(["class (training images)", "strategy", axis(), "95 % interval"], classRows().map((r) => [r.class, r.setting, number(r.mean, state.mode === "diff"), interval(r.low, r.high, state.mode === "diff")])),
    tradeoff: () => tableOf(["strategy", "low-frequency", "95 % interval", "remaining", "95 % interval"], tradeoffRows(study().settings.map((_, j) => j)).map((r) => [r.setting, number(r.rare), interval(r.rare_low, r.rare_high), number(r.rest), interval(r.rest_low, r.rest_high)])),
    distribution: () => tableOf(["class (training images)", "strategy", "drawn in an epoch"], distributionRows().map((r) => [r.class, r.setting, r.count.toLocaleString("en")])),
    together: () => tableOf(["of the images of", "also carry", "share", "images"], togetherRows().filter((r) => r.class !== r.other && r.images).map((r) => [r.class, r.other, (100 * r.share).toFixed(1) + " %", r.images.toLocaleString("en")])),
  };

  function numbers() {
    document.querySelectorAll("details.numbers[open]").forEach((node) => node.querySelector("div").replaceChildren(numberTables[node.dataset.of]()));
  }

  function ranking() {
    const s = study(), t = table("groups"), better = metric().better === "higher" ? 1 : -1;
    const order = s.settings.map((_, j) => j).sort((a, b) => (a === 0 ? -1 : b === 0 ? 1 : better * ((t.diff[2 * b] ?? -9) - (t.diff[2 * a] ?? -9))));
    const made = $("ranking");
    made.replaceChildren();
    const head = made.createTHead().insertRow();
    ["strategy", "low-frequency", "against baseline", "remaining", "against baseline", ...s.extra_columns].forEach((text, i) => {
      const th = make("th", text, i && i < 5 ? "n" : ""); th.scope = "col"; head.append(th);
    });
    const body = made.createTBody();
    order.forEach((j) => {
      const row = body.insertRow();
      if (metric().name === s.judged_by) row.className = s.extra[j].verdict ?? "";
      row.append(make("td", s.settings[j]));
      [0, 1].forEach((g) => {
        const at = 2 * j + g;
        row.append(make("td", number(t.mean[at]), "n"));
        row.append(make("td", j ? `${number(t.diff[at], true)} ${interval(t.diff_low[at], t.diff_high[at], true)}` : "", g ? "n" : "n v"));
      });
      s.extra_columns.forEach((name) => row.append(make("td", s.extra[j][name] ?? "")));
    });
    $("ranking-note").textContent = `${metric().summary} Means over classes; best on low-frequency classes first.` + (s.extra_note ? ` ${s.extra_note}` : "");
  }

  function images() {
    const s = study(), place = $("images");
    place.replaceChildren();
    s.settings.forEach((name, j) => {
      const shown = s.galleries[j][state.cls];
      if (!shown) return;
      place.append(make("h3", name));
      [["missed", `images of ${s.classes[state.cls].name} with the lowest scores`], ["wrong", "other images with the highest scores"]].forEach(([kind, title]) => {
        if (!shown[kind].length) return;
        place.append(make("p", title, "note"));
        shown[kind].forEach(([image, score, id]) => {
          const figure = make("figure", undefined, "thumb");
          if (image !== null) { const img = new Image(); img.src = data.thumbnails[image]; img.alt = id; figure.append(img); }
          figure.append(make("figcaption", `${number(score / 1000)}  ${id}`));
          place.append(figure);
        });
      });
    });
    if (!place.children.length) place.append(make("p", "No image of this class is kept on the page.", "note"));
  }

  // what each chart shows now: its data sets and its signals
  const contents = {
    classes: () => ({ data: { rows: classRows() }, signals: { ...slotsFor(shownSettings()), axis: axis(), isdiff: state.mode === "diff" } }),
    tradeoff: () => {
      const indices = shownSettings();
      const others = study().settings.map((_, j) => j).filter((j) => !indices.includes(j) && (j || state.mode !== "diff"));
      return { data: { rows: tradeoffRows(indices), others: tradeoffRows(others) }, signals: { ...slotsFor(indices), axis: axis() } };
    },
    curves: () => ({ data: { rows: curveRows(), chance: [{ precision: study().classes[state.cls].share }] }, signals: slotsFor([0, ...state.shown]) }),
    distribution: () => ({ data: { rows: distributionRows() }, signals: looks(distributionShown().map((d) => d.name), distributionShown().map((d, i) => (i ? study().settings.indexOf(d.name) : 0))) }),
    together: () => ({ data: { rows: togetherRows() }, signals: {} }),
    map: () => { const { rows, signals } = mapped(); return { data: { rows }, signals }; },
  };
  function draw(name) {
    const view = views[name], { data: sets, signals } = contents[name]();
    const known = new Set((data.charts[name].params || []).map((param) => param.name));
    Object.entries(signals).filter(([key]) => known.has(key)).forEach(([key, value]) => view.signal(key, value));
    Object.entries(sets).forEach(([key, value]) => view.data(key, value));
    return view.runAsync();
  }
  function render() {
    ranking();
    images();
    numbers();
    return Promise.all(Object.keys(contents).map(draw));
  }

  function chooseStudy(index) {
    state.study = index;
    const s = study();
    state.shown = s.first;
    state.cls = ordered(s.classes.map((_, i) => i)).find((i) => s.curves[0][i]) ?? 0;
    fill($("class"), s.classes.map((c, i) => classLabel(i)), state.cls);
    $("boxes").replaceChildren(...s.settings.slice(1).map((name, k) => {
      const label = make("label"), box = make("input");
      box.type = "checkbox"; box.value = String(k + 1); box.checked = state.shown.includes(k + 1);
      label.append(box, " ", name);
      return label;
    }));
    const by = [["class", "having the class"], ["error", "baseline's errors on the class"], ...Object.keys(s.map.kept).map((name) => [name, `drawn by ${name}`])];
    state.by = "class";
    $("by").replaceChildren(...by.map(([value, text]) => new Option(text, value)));
    $("s-together").hidden = !s.multi;
    named();
  }
  function named() {
    document.querySelectorAll(".class-name").forEach((node) => { node.textContent = study().classes[state.cls].name; });
    $("chosen").textContent = `${state.shown.length} of ${study().settings.length - 1}`;
  }

  $("boxes").addEventListener("change", (event) => {
    const place = Number(event.target.value);
    state.shown = event.target.checked ? [...state.shown, place] : state.shown.filter((j) => j !== place);
    const full = state.shown.length >= MOST;
    $("boxes").querySelectorAll("input").forEach((box) => { box.disabled = full && !box.checked; });
    named();
    render();
  });
  const onChange = (id, change) => $(id).addEventListener("change", (event) => change(event.target.value));
  onChange("study", (value) => { chooseStudy(Number(value)); render(); });
  onChange("metric", (value) => { state.metric = Number(value); render(); });
  ["mode", "group", "sort"].forEach((id) => onChange(id, (value) => { state[id] = value; render(); }));
  onChange("class", (value) => { state.cls = Number(value); named(); images(); draw("curves"); draw("map"); });
  onChange("by", (value) => { state.by = value; draw("map"); });
  document.querySelectorAll("details.numbers").forEach((node) => node.addEventListener("toggle", numbers));
  $("controls").addEventListener("submit", (event) => event.preventDefault());

  function config() {
    const css = getComputedStyle(document.documentElement);
    const [ink, faint, line] = ["--ink", "--faint", "--line"].map((name) => css.getPropertyValue(name).trim());
    return {
      font: "system-ui, 'Noto Sans', sans-serif", view: { stroke: null },
      axis: { labelColor: ink, titleColor: faint, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      legend: { labelColor: ink, titleColor: faint, labelFontSize: 12 },
    };
  }
  // what Vega-Lite takes only as words and Vega as expressions too: "=…" becomes a signal
  function withSignals(spec) {
    const expression = (value) => typeof value === "string" && value.startsWith("=") ? { signal: value.slice(1) } : value;
    const visit = (node) => {
      (node.axes || []).forEach((axis) => { axis.title = expression(axis.title); });
      (node.scales || []).forEach((scale) => { if (Array.isArray(scale.range) && scale.range.length === 1) scale.range = expression(scale.range[0]); });
      (node.marks || []).forEach(visit);
      return node;
    };
    return visit(spec);
  }
  async function embed(name) {
    const spec = structuredClone(data.charts[name]), { data: sets, signals } = contents[name]();
    spec.datasets = sets;
    (spec.params || []).filter((param) => param.name in signals).forEach((param) => { param.value = signals[param.name]; });
    if (views[name]) views[name].finalize();
    const made = await vegaEmbed(`#${name}`, spec, { actions: false, renderer: "svg", tooltip, config: config(), patch: withSignals, logLevel: 1 });
    views[name] = made.view;
  }
  async function build() {
    await Promise.all(Object.keys(data.charts).map(embed));
    render();
    document.documentElement.dataset.ready = "true";
  }
  fill($("study"), data.studies.map((s) => s.title), 0);
  fill($("metric"), data.metrics.map((m) => m.label), 0);
  chooseStudy(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
  build();
})();
