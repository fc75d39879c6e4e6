// Draws, and redraws what a control changes and nothing else.
const views = {};
const ORDER = () => state.sort === "effect" ? ["group", "sort", "metric", "mode", "shown"] : ["group", "sort"];
const parts = {
  status: { reads: () => Object.keys(state), draw: () => { $("status").textContent = said(); } },
  ranking: { reads: () => ["metric"], draw: ranking },
  classes: { reads: () => ["metric", "mode", "shown", ...ORDER()], draw: () => chart("classes") },
  tradeoff: { reads: () => ["metric", "mode", "shown"], draw: () => chart("tradeoff") },
  curves: { reads: () => ["cls", "shown"], draw: () => chart("curves") },
  distribution: { reads: () => ["shown", ...ORDER()], draw: () => chart("distribution") },
  together: { reads: ORDER, draw: () => chart("together") },
  map: { reads: () => ["cls", "by"], draw: () => chart("map") },
  images: { reads: () => ["cls"], draw: images },
};

function set(key, value) {
  const before = Object.values(parts).map((part) => part.reads());
  state[key] = value;
  words();
  Object.values(parts).forEach((part, i) => {
    if (key === "study" || before[i].includes(key) || part.reads().includes(key)) part.draw();
  });
}

function chart(name) {
  const view = views[name], { data: sets, signals } = contents[name]();
  Object.entries({ ...signals, narrow: narrow.matches }).filter(([key]) => known(name).has(key)).forEach(([key, value]) => view.signal(key, value));
  Object.entries(sets).forEach(([key, value]) => view.data(key, value));
  view.run();
  numbers(name);
}
const known = (name) => new Set((data.charts[name].params || []).map((param) => param.name));

function words() {
  const s = study();
  document.querySelectorAll(".class-name").forEach((node) => { node.textContent = s.classes[state.cls].name; });
  $("chosen").textContent = `${state.shown.length} of ${s.settings.length - 1}`;
  const [up, right] = metric().better === "higher" ? ["Up", "right"] : ["Down", "left"];
  $("direction").textContent = `${up} is better on low-frequency classes, ${right} is better on the remaining ones.`;
  $("together-cut").textContent = classesShown().length > MOST_TOGETHER ? `The first ${MOST_TOGETHER} classes.` : "";
}

function fill(select, texts, values = texts.map((_, i) => i)) {
  select.replaceChildren(...texts.map((text, i) => new Option(text, values[i])));
}

function boxes() {
  const full = state.shown.length >= MOST;
  $("boxes").querySelectorAll("input").forEach((box) => {
    box.checked = state.shown.includes(Number(box.value));
    box.disabled = full && !box.checked;
  });
}

// the controls of another data set or encoder
function chooseStudy(index) {
  state.study = index;
  const s = study();
  state.shown = s.first;
  state.by = "class";
  state.cls = classesShown().find((i) => s.classes[i].measured) ?? 0;
  fill($("class"), s.classes.map((_, i) => classLabel(i)));
  $("class").value = state.cls;
  $("boxes").replaceChildren(...s.settings.slice(1).map((name, k) => {
    const label = make("label"), box = make("input");
    box.type = "checkbox";
    box.value = String(k + 1);
    label.append(box, " ", name);
    return label;
  }));
  boxes();
  const kept = Object.keys(s.map.kept);
  fill($("by"), ["having the class", "baseline's errors on the class", ...kept.map((name) => `drawn by ${name}`)], ["class", "error", ...kept]);
  $("s-together").hidden = !s.multi;
}

function show(indices) {
  set("shown", indices);
  boxes();
}

$("boxes").addEventListener("change", ({ target }) => {
  const place = Number(target.value);
  show(target.checked ? [...state.shown, place] : state.shown.filter((j) => j !== place));
});
$("none").addEventListener("click", () => show([]));
$("best").addEventListener("click", () => show(study().first));
const onChange = (id, change) => $(id).addEventListener("change", (event) => change(event.target.value));
onChange("study", (value) => { chooseStudy(Number(value)); set("study", Number(value)); });
onChange("metric", (value) => set("metric", Number(value)));
onChange("class", (value) => set("cls", Number(value)));
["mode", "group", "sort", "by"].forEach((id) => onChange(id, (value) => set(id, value)));
document.querySelectorAll("details.numbers").forEach((node) => node.addEventListener("toggle", () => numbers(node.dataset.of)));
$("controls").addEventListener("submit", (event) => event.preventDefault());
narrow.addEventListener("change", () => Object.keys(views).forEach(chart));

const tooltip = {
  formatTooltip({ says, image }, sanitize) {
    const picture = image in data.thumbnails ? `<img alt="" src="${data.thumbnails[image]}">` : "";
    return picture + says.split("\n").map((line) => `<div>${sanitize(line)}</div>`).join("");
  },
};

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
  const values = { ...signals, narrow: narrow.matches };
  spec.datasets = sets;
  (spec.params || []).filter((param) => param.name in values).forEach((param) => { param.value = values[param.name]; });
  views[name] = (await vegaEmbed(`#${name}`, spec, { actions: false, renderer: "svg", tooltip, config: data.config, patch: withSignals, logLevel: 1 })).view;
}

async function start() {
  fill($("study"), data.studies.map((s) => s.title));
  fill($("metric"), data.metrics.map((m) => m.label));
  $("panel").open = !narrow.matches;
  chooseStudy(0);
  words();
  await Promise.all(Object.keys(data.charts).map(embed));
  ["status", "ranking", "images"].forEach((name) => parts[name].draw());
  document.documentElement.dataset.ready = "true";
}
start();
