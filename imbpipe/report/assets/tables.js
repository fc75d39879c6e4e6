// What the page says beside its charts: the ranking, the numbers behind each chart, the hardest images.
function make(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
}

// numeric: the columns that are numbers
function fillTable(made, titles, rows, numeric = []) {
  made.replaceChildren();
  const kind = (i) => numeric.includes(i) ? "n" : "";
  const head = made.createTHead().insertRow();
  titles.forEach((text, i) => { const th = make("th", text, kind(i)); th.scope = "col"; head.append(th); });
  const body = made.createTBody();
  return rows.map((cells) => {
    const row = body.insertRow();
    cells.forEach((cell, i) => row.append(make(i ? "td" : "th", cell, kind(i))));
    row.cells[0].scope = "row";
    return row;
  });
}

const numberTables = {
  classes: () => [["class (training images)", "strategy", measured(), "95 % interval"], classRows().map((r) => [r.class, r.setting, number(r.mean, isDiff()), r.range]), [2, 3]],
  tradeoff: () => {
    const range = (low, high) => low === high ? "" : interval(low, high, isDiff());
    const rows = tradeoffRows(study().settings.map((_, j) => j));
    return [["strategy", "low-frequency", "95 % interval", "remaining", "95 % interval"], rows.map((r) => [r.setting, number(r.rare, isDiff()), range(r.rare_low, r.rare_high), number(r.rest, isDiff()), range(r.rest_low, r.rest_high)]), [1, 2, 3, 4]];
  },
  curves: () => {
    const steps = [0, 0.2, 0.4, 0.6, 0.8, 1], all = curveRows();
    const at = (j, recall) => all.find((r) => r.slot === j && Math.abs(r.recall - recall) < 1e-9)?.precision;
    return [["strategy", ...steps.map((x) => `precision at recall ${x}`)], named([0, ...state.shown]).map((name, j) => [name, ...steps.map((x) => number(at(j, x)))]), [1, 2, 3, 4, 5, 6]];
  },
  distribution: () => [["class (training images)", "strategy", "drawn in an epoch"], distributionRows().map((r) => [r.class, r.setting, whole(r.count)]), [2]],
  together: () => [["of the images of", "also carry", "share", "images"], togetherRows().filter((r) => r.class !== r.other && r.images).map((r) => [r.class, r.other, percent(r.share), whole(r.images)]), [2, 3]],
  map: () => {
    const rows = mapRows(), count = (kind, training) => whole(rows.filter((r) => r.kind === kind && r.training === training).length);
    return [["images on the map", "training", "test"], mapKinds().kinds.map((kind) => [kind, count(kind, true), count(kind, false)]), [1, 2]];
  },
};

function numbers(name) {
  const node = document.querySelector(`details.numbers[data-of=${name}]`);
  if (!node.open) return;
  const made = make("table");
  fillTable(made, ...numberTables[name]());
  node.querySelector("div").replaceChildren(made);
}

function ranking() {
  const s = study(), t = table("groups"), sign = metric().better === "higher" ? 1 : -1;
  const gain = (j) => j === 0 ? Infinity : sign * (t.diff[2 * j] ?? -sign * Infinity);
  const order = s.settings.map((_, j) => j).sort((a, b) => gain(b) - gain(a) || a - b);
  const against = (j, at) => j ? `${number(t.diff[at], true)} ${interval(t.diff_low[at], t.diff_high[at], true)}` : "";
  const cells = (j) => [s.settings[j], ...[2 * j, 2 * j + 1].flatMap((at) => [number(t.mean[at]), against(j, at)]), ...s.extra_columns.map((name) => s.extra[j][name] ?? "")];
  const titles = ["strategy", "low-frequency", "against baseline", "remaining", "against baseline", ...s.extra_columns];
  fillTable($("ranking"), titles, order.map(cells), [1, 2, 3, 4]).forEach((row, place) => {
    if (metric().name === s.judged_by) row.className = s.extra[order[place]].verdict ?? "";
  });
  $("ranking-note").textContent = `${metric().summary} Means over classes; best on low-frequency classes first. ${s.extra_note}`;
}

function thumbnail(image, score, id, labels) {
  const figure = make("figure"), text = labels.map((k) => study().classes[k].name).join(", ");
  if (image !== null) {
    const picture = new Image();
    picture.src = data.thumbnails[image];
    picture.alt = `${id}: ${text}`;
    figure.append(picture);
  }
  const caption = make("figcaption");
  caption.append(make("b", number(score / 1000)), " ", id, make("span", text, "note"));
  figure.append(caption);
  return figure;
}

function images() {
  const s = study(), place = $("images"), name = s.classes[state.cls].name;
  const titles = { missed: `Images of ${name} with the lowest scores`, wrong: `Other images with the highest scores for ${name}` };
  place.replaceChildren();
  s.settings.forEach((setting, j) => {
    const kept = s.galleries[j][state.cls];
    if (!kept) return;
    place.append(make("h3", setting));
    Object.keys(titles).filter((kind) => kept[kind].length).forEach((kind) => {
      const row = make("div", undefined, "thumbs");
      row.append(...kept[kind].map((each) => thumbnail(...each)));
      place.append(make("p", titles[kind], "note"), row);
    });
  });
  if (!place.children.length) place.append(make("p", "No image of this class is kept on the page: the rarest classes' come first.", "note"));
}
