// What each chart draws now: its data sets, and the signals that its specification names.
const HUES = { yes: "#D55E00", no: "#7a7a7a", good: "#0072B2", wrong: "#CC79A7" };
const MOST_TOGETHER = 40;

// a setting looks the same in every chart
function looks(texts, indices) {
  const some = (range) => indices.map((j) => range[j === 0 ? 0 : 1 + state.shown.indexOf(j)]);
  return { shown: texts, hues: some(data.looks.hues), marks: some(data.looks.marks), dashes: some(data.looks.dashes) };
}
const looksOf = (indices) => looks(named(indices), indices);
const lines = (...texts) => texts.filter((text) => text).join("\n");

function classRows() {
  const s = study(), n = s.classes.length, [mean, low, high] = columns(table("classes"));
  const rows = [];
  classesShown().forEach((i, order) => settingsShown().forEach((j, slot) => {
    const at = j * n + i, m = mean[at];
    if (m === null) return;
    const range = interval(low[at], high[at], isDiff());
    rows.push({
      class: classLabel(i), setting: s.settings[j], order, slot, mean: m, low: low[at] ?? m, high: high[at] ?? m, range,
      says: lines(classLabel(i), s.settings[j], `${number(m, isDiff())} ${range}`),
    });
  }));
  return rows;
}

function tradeoffRows(indices) {
  const s = study(), [mean, low, high] = columns(table("groups"));
  const ends = (at) => [low[at] ?? mean[at], high[at] ?? mean[at]];
  return indices.filter((j) => mean[2 * j] !== null && mean[2 * j + 1] !== null).map((j, slot) => {
    const [rare, rest] = [2 * j, 2 * j + 1];
    const [rare_low, rare_high] = ends(rare), [rest_low, rest_high] = ends(rest);
    const told = (at) => `${number(mean[at], isDiff())} ${interval(low[at], high[at], isDiff())}`;
    return {
      setting: s.settings[j], slot, rare: mean[rare], rare_low, rare_high, rest: mean[rest], rest_low, rest_high,
      says: lines(s.settings[j], `low-frequency: ${told(rare)}`, `remaining: ${told(rest)}`),
    };
  });
}

function curveRows() {
  const s = study(), rows = [];
  [0, ...state.shown].forEach((j, slot) => {
    const curve = s.curves[j][state.cls];
    if (curve) curve.forEach((p, i) => rows.push({ setting: s.settings[j], slot, recall: i / (curve.length - 1), precision: p / 1000 }));
  });
  return rows;
}

// the training images as they are first; then the chosen settings that resample
const distributionsShown = () => {
  const wanted = named(state.shown);
  return study().distributions.filter((d, i) => i === 0 || wanted.includes(d.name));
};

function distributionRows() {
  const rows = [];
  classesShown().forEach((i, order) => distributionsShown().forEach((d, slot) => {
    const count = d.counts[i];
    if (count > 0) rows.push({ class: classLabel(i), setting: d.name, order, slot, count, says: lines(classLabel(i), d.name, `${whole(count)} an epoch`) });
  }));
  return rows;
}

function togetherRows() {
  const s = study(), rows = [], some = classesShown().slice(0, MOST_TOGETHER);
  some.forEach((i, order) => some.forEach((k, other_order) => {
    const images = s.together[i][k], own = s.together[i][i], share = own ? images / own : 0;
    const [name, other] = [s.classes[i].name, s.classes[k].name];
    rows.push({
      class: name, other, order, other_order, images, share,
      says: lines(`${percent(share)} of the images of`, name, "also carry", other, `${whole(images)} images`),
    });
  }));
  return rows;
}

// by what the map is coloured: its kinds, their hues, and the kind of image i or -1 for none
function mapKinds() {
  const m = study().map, c = state.cls;
  if (state.by === "class") {
    return { kinds: [`has ${study().classes[c].name}`, "has not"], hues: [HUES.yes, HUES.no], kindOf: (i) => m.labels[i].includes(c) ? 0 : 1 };
  }
  if (state.by === "error") {
    const kindOf = (i) => {
      if (i < m.train) return -1;
      const has = m.labels[i].includes(c), told = m.scores[i - m.train][c] > m.thresholds[c];
      return has ? (told ? 0 : 1) : (told ? 2 : 3);
    };
    return { kinds: ["found", "missed", "wrongly predicted", "rightly not predicted"], hues: [HUES.good, HUES.yes, HUES.wrong, HUES.no], kindOf };
  }
  return { kinds: ["drawn", "left out"], hues: [HUES.good, HUES.no], kindOf: (i) => i < m.train ? (m.kept[state.by][i] ? 0 : 1) : -1 };
}

function mapRows() {
  const s = study(), m = s.map, { kinds, kindOf } = mapKinds();
  return m.x.map((x, i) => ({ x, i, kind: kindOf(i) })).filter((row) => row.kind >= 0).map(({ x, i, kind }) => {
    const training = i < m.train;
    const score = training ? "" : `baseline's score for ${s.classes[state.cls].name}: ${number(m.scores[i - m.train][state.cls] / 1000)}`;
    return {
      x, y: m.y[i], kind: kinds[kind], rank: -kind, image: m.image[i], training,
      says: lines(m.id[i], training ? "training image" : "test image", m.labels[i].map((k) => s.classes[k].name).join(", "), score),
    };
  });
}

function mapSignals() {
  const { kinds, hues } = mapKinds(), explained = (k) => `component ${k + 1} (${percent(study().map.explained[k])} of the variance)`;
  return { kinds, hues, marks: data.looks.marks.slice(0, kinds.length), xtitle: explained(0), ytitle: explained(1) };
}

const contents = {
  classes: () => ({ data: { rows: classRows() }, signals: { ...looksOf(settingsShown()), axis: axis(), isdiff: isDiff() } }),
  tradeoff: () => {
    const indices = settingsShown();
    const others = study().settings.map((_, j) => j).filter((j) => !indices.includes(j) && (j || !isDiff()));
    return { data: { rows: tradeoffRows(indices), others: tradeoffRows(others) }, signals: { ...looksOf(indices), axis: axis(), isdiff: isDiff() } };
  },
  curves: () => ({ data: { rows: curveRows(), chance: [{ precision: study().classes[state.cls].share }] }, signals: looksOf([0, ...state.shown]) }),
  distribution: () => {
    const some = distributionsShown();
    return { data: { rows: distributionRows() }, signals: looks(some.map((d) => d.name), some.map((d, i) => (i ? study().settings.indexOf(d.name) : 0))) };
  },
  together: () => ({ data: { rows: togetherRows() }, signals: {} }),
  map: () => ({ data: { rows: mapRows() }, signals: mapSignals() }),
};
