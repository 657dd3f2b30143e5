/** The live map: creates the components and connects them. */

import { Address } from "./address.js";
import { Animations } from "./animations.js";
import { isSignedOut } from "./api.js";
import { Camera } from "./camera.js";
import { bindCopyButtons } from "./copying/buttons.js";
import { Copier } from "./copying/copier.js";
import { Feed } from "./feed.js";
import { setHidden } from "./focus.js";
import { countText, locationText, shortId } from "./format.js";
import { Explorer } from "./history/explorer.js";
import { Strip } from "./history/strip.js";
import { Timeline } from "./history/timeline.js";
import { Navigation } from "./navigation.js";
import { Notice } from "./notice.js";
import { Orders } from "./orders.js";
import { Painter } from "./painter.js";
import { Panel } from "./panel.js";
import { pick } from "./picking.js";
import { Pointer } from "./pointer.js";
import { Regions } from "./regions.js";
import { Roster } from "./roster.js";
import { SearchField } from "./searchfield.js";
import { Selection } from "./selection.js";
import { bindShortcuts } from "./shortcuts.js";
import { Status } from "./status.js";
import { Swarm } from "./swarm.js";
import { Sync } from "./sync.js";
import { Theme } from "./theme.js";
import { View } from "./view.js";

const ZOOM = 1.5; // factor per key press or click

const $ = (id) => document.getElementById(id);

const swarm = new Swarm();
const camera = new Camera();
const animations = new Animations();
const selection = new Selection(swarm);
const theme = new Theme(() => painter.refreshView());
const timeline = new Timeline(
  {
    root: $("timeline"),
    slider: $("slider"),
    number: $("step"),
    total: $("total"),
    pose: $("pose"),
  },
  $("roster"),
);
const explorer = new Explorer({
  timeline,
  strip: new Strip({ box: $("strip"), list: $("history") }),
});
const canvases = ["grid", "path", "swarm", "overlay"].map($);
const painter = new Painter(canvases, { swarm, camera, animations, theme, selection, explorer });
const view = new View({ camera, painter, swarm });
const sync = new Sync(swarm, animations);
const feed = new Feed();
const panel = new Panel($("panel"), swarm, $("roster"));
const roster = new Roster(
  { list: $("roster"), summary: $("summary") },
  { swarm, camera, selection },
);
const address = new Address();
const notices = new Notice($("notice"));
const notice = (text, isError) => notices.show(text, isError);
const orders = new Orders({ swarm, selection, explorer, sync, view }, notice);
const copier = new Copier({ dialog: $("copy"), field: $("copy-text") }, notice);
const navigation = new Navigation({ swarm, selection, explorer, sync, view }, notice);
const searchField = new SearchField($("search"), (text) => navigation.search(text));
const pointer = new Pointer($("overlay"), camera);
const status = new Status(
  {
    root: $("connection"),
    text: $("state"),
    countdown: $("countdown"),
    retry: $("retry"),
    signIn: $("sign-in"),
  },
  sync,
  $("roster"),
);

// The view.

roster.onselect = showPanel;

let isPanelDue = false; // it has no history yet, which makes it taller

/** Scroll the panel into view; show the top of one that is taller than the sidebar. */
function showPanel() {
  isPanelDue = selection.id !== null && !explorer.history;
  const isTall = $("panel").offsetHeight > $("panel").parentElement.clientHeight;
  $("panel").scrollIntoView({ block: isTall ? "start" : "nearest" });
}

painter.onview = () => {
  const stage = $("stage").dataset;
  // The view as data attributes: tests and scripts cannot read it from a canvas.
  stage.x = camera.originX;
  stage.y = camera.originY;
  stage.offset = `${camera.offsetX} ${camera.offsetY}`;
  stage.scale = camera.scale;
  showCursorLocation();
  roster.refresh();
};

function showCursorLocation() {
  const place = painter.cursor;
  $("whereabouts").textContent = place ? locationText(place.x, place.y) : "";
}

function resize() {
  const { clientWidth, clientHeight } = $("stage");
  if (clientWidth && clientHeight) painter.resize(clientWidth, clientHeight);
  view.follow();
}

resize(); // now, because the list may be complete before the observer is called
new ResizeObserver(resize).observe($("stage"));

// Events and answers of the service.

let countTimer = 0;

function refreshCount() {
  countTimer ||= setTimeout(() => {
    countTimer = 0;
    $("count").textContent = countText(swarm.size, "zergling", "zerglings");
    setHidden($("empty"), swarm.size > 0 || !sync.isComplete, $("roster"));
    status.refresh();
  }, 100);
}

sync.onchange = (id) => {
  painter.refresh();
  roster.refresh();
  refreshCount();
  if (swarm.size) markOnce("overmind:first");
  if (!id) view.followSoon(); // a chunk of the list
  else if (sync.isComplete) view.finishFollowing();
  if (id && id === selection.id) {
    if (selection.slot < 0) return onDied(id);
    panel.refreshPose();
    if (panel.isBehind) panel.refresh();
  }
};

sync.onlistchange = () => {
  $("stage").setAttribute("aria-busy", String(!sync.isComplete));
  status.refresh();
  refreshCount();
  if (!sync.isComplete) return;
  markOnce("overmind:complete");
  view.finishFollowing();
  if (selection.id && selection.slot < 0) onDied(selection.id);
};

const marked = new Set();

function markOnce(name) {
  if (marked.has(name)) return;
  marked.add(name); // before the frame, which a page in the background does not get
  requestAnimationFrame(() => performance.mark(name));
}

function onDied(id) {
  notice(`${shortId(id)} is no more.`);
  if (selection.id === id) selection.select(null);
}

feed.onready = () => sync.loadIfNeeded();
feed.onreset = () => {
  sync.reload();
  showSelected(); // from the beginning: the store may be an older one with lower counts
};
feed.onevent = (kind, zergling) => sync.applyEvent(kind, zergling);
feed.isUnauthorized = isSignedOut;
feed.onstate = (state, nextTry) => {
  status.set(state, nextTry);
  if (state === "live") panel.refresh(); // replaces a message that the service cannot be reached
};

// Actions of the user.

orders.onanswer = (zergling) => {
  panel.showCount(zergling);
  sync.applyState(zergling);
  explorer.update(zergling);
};

panel.onnotfound = (id) => sync.remove(id);
panel.onload = (zergling) => {
  sync.applyState(zergling);
  explorer.update(zergling);
};

function showSelected() {
  panel.show(selection.id);
  explorer.show(selection.id);
}

selection.onchange = () => {
  isPanelDue = false; // arrow keys in the list select without leaving it
  showSelected();
  roster.refresh();
  painter.refresh();
};

pointer.onmove = () => view.onUserMove();

pointer.onhover = (point) => {
  painter.pointerPosition = point;
  showCursorLocation();
  painter.refresh();
};

pointer.onclick = (point) => {
  const slot = pick(point, { swarm, camera, current: selection.slot });
  selection.select(slot < 0 ? null : swarm.idOf(slot));
  showPanel();
};

explorer.onchange = () => {
  painter.refreshPath();
  if (explorer.isComplete) markOnce("overmind:path");
  if (isPanelDue && explorer.history) showPanel();
  address.set(selection.id, explorer.isNow ? null : explorer.step);
};

navigation.onrefused = () => address.restore();

explorer.onmove = ({ x, y }) => {
  view.bringIntoView(x, y);
  if (document.activeElement !== $("slider")) notice(explorer.text); // a slider speaks for itself
};

explorer.onerror = (sentence) => notice(sentence, true);

address.onchange = async (link) => {
  await navigation.follow(link);
  showPanel();
};

const actions = {
  n: () => orders.spawn(painter.cursor ?? view.centre),
  l: () => orders.command("L"),
  m: () => orders.command("M"),
  r: () => orders.command("R"),
  "+": () => view.zoom(ZOOM),
  "=": () => view.zoom(ZOOM),
  "-": () => view.zoom(1 / ZOOM),
  0: () => view.fit(),
  f: () => view.fit(),
  "/": () => searchField.focus(),
  "?": () => $("help").showModal(),
  ",": () => explorer.goBy(-1),
  ".": () => explorer.goBy(1),
  "<": () => explorer.goBy(-10),
  ">": () => explorer.goBy(10),
  now: () => explorer.goToNow(),
  p: () => explorer.history && view.show(explorer.history.extent),
  deselect: () => selection.select(null),
  Escape: () => (explorer.isNow ? selection.select(null) : explorer.goToNow()),
  ArrowLeft: () => view.pan(-1, 0),
  ArrowRight: () => view.pan(1, 0),
  ArrowUp: () => view.pan(0, -1),
  ArrowDown: () => view.pan(0, 1),
};

bindShortcuts(actions, ["n"], $("character-keys"));
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => actions[button.dataset.key]());
}
for (const button of document.querySelectorAll("[data-spawn]")) {
  button.addEventListener("click", () => orders.spawn(view.centre));
}
bindCopyButtons(
  { buttons: document.querySelectorAll("[data-curl]"), link: $("copy-link") },
  { copier, selection, explorer, orders, view },
);
$("retry").addEventListener("click", () => feed.retryNow());
$("find").addEventListener("click", () => navigation.showSelected());
document.addEventListener("visibilitychange", () => {
  painter.refresh();
  roster.refresh();
  panel.refresh();
});

address.start();
feed.start();
if ($("region")) new Regions({ behind: $("behind"), by: $("behind-by") }).watch();
