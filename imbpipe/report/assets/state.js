// What the page knows, what its controls say, and the words that follow from both.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const MOST = data.looks.hues.length - 1;
const state = { study: 0, metric: 0, mode: "diff", group: "all", sort: "count", cls: 0, by: "class", shown: [] };

const study = () => data.studies[state.study];
const metric = () => data.metrics[state.metric];
const isDiff = () => state.mode === "diff";
const table = (kind) => study().values[metric().name][kind];
const named = (indices) => indices.map((i) => study().settings[i]);
const whole = (x) => x.toLocaleString("en");
const number = (x, sign) => x === null || x === undefined ? "–" : (sign && x >= 0 ? "+" : "") + x.toFixed(3).replace("-", "−");
const interval = (low, high, sign) => low === null ? "" : `[${number(low, sign)}, ${number(high, sign)}]`;
const percent = (x) => `${(100 * x).toFixed(1)} %`;

const classLabel = (i) => {
  const { name, train, low } = study().classes[i];
  return `${name} (${whole(train)}${low ? ", rare" : ""})`;
};
const settingsShown = () => isDiff() && state.shown.length ? state.shown : [0, ...state.shown];
const narrow = matchMedia("(max-width: 40rem)");
const measured = () => isDiff() ? `difference in ${metric().axis} from the baseline` : metric().axis;
const axis = () => narrow.matches ? measured().replace(" from the baseline", "") : measured();

// the columns that the mode asks for: means, and both ends of their intervals
const columns = (t) => isDiff() ? [t.diff, t.diff_low, t.diff_high] : [t.mean, t.low, t.high];

// the classes that the controls ask for, in the order that they ask for
function classesShown() {
  const s = study(), n = s.classes.length, [mean] = columns(table("classes"));
  const effect = (i) => Math.max(...state.shown.map((j) => mean[j * n + i]).filter((x) => x !== null).map(Math.abs), -1);
  const by = {
    count: (a, b) => s.classes[a].train - s.classes[b].train || a - b,
    effect: (a, b) => effect(b) - effect(a) || a - b,
    name: (a, b) => s.classes[a].name.localeCompare(s.classes[b].name),
  };
  const wanted = (i) => state.group === "all" || (state.group === "low") === s.classes[i].low;
  return s.classes.map((c, i) => i).filter(wanted).sort(by[state.sort]);
}

function said() {
  const groups = { all: "all", low: "low-frequency", rest: "remaining" };
  const chosen = state.shown.length ? named(state.shown).join(", ") : "no strategy but the baseline";
  return `Shown: ${measured()}; ${groups[state.group]} classes; ${chosen}. Class looked at: ${study().classes[state.cls].name}.`;
}
