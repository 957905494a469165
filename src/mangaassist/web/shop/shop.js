// The chat page: streams answers over server-sent events; no framework, no untrusted HTML.

const STARTERS = [
  "Something like Berserk, but gentler",
  "A funny manga for a ten-year-old",
  "How many volumes does Monster have?",
  "What is on offer this week?",
  "Can I return a book I have opened?",
];
const REASONS = [
  ["wrong_recommendation", "Not my taste"],
  ["wrong_fact", "A fact is wrong"],
  ["not_understood", "Did not understand me"],
  ["too_long", "Too long"],
  ["outdated", "Out of date"],
  ["other", "Something else"],
];

const FORMATS = {
  paperback: "Paperback", hardcover: "Hardcover", box_set: "Box set", ebook: "E-book",
};
const ATTEMPTS = 2;

const page = {
  conversation: document.getElementById("conversation"),
  welcome: document.getElementById("welcome"),
  starters: document.getElementById("starters"),
  turns: document.getElementById("turns"),
  form: document.getElementById("composer"),
  message: document.getElementById("message"),
  send: document.getElementById("send"),
  customer: document.getElementById("customer"),
  restart: document.getElementById("restart"),
  announcer: document.getElementById("announcer"),
  template: document.getElementById("turn-template"),
};

// the identity is a cookie that this script cannot read; `running` is the AbortController of the answer in progress
const state = { session: null, running: null, following: true };

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function post(path, content, options = {}) {
  return fetch(path, {
    method: "POST",
    ...options,
    headers: { "content-type": "application/json", ...options.headers },
    body: JSON.stringify(content),
  });
}

// --- one turn ---

function newTurn(question) {
  page.welcome.hidden = true;
  page.restart.hidden = false;
  const node = page.template.content.firstElementChild.cloneNode(true);
  node.querySelector(".words").textContent = question;
  page.turns.append(node);
  const text = node.querySelector(".text");
  text.classList.add("streaming", "waiting");
  state.following = true;
  const turn = { node, text, question, written: "" };
  follow(turn);
  return turn;
}

// scrolls down with the answer until its question is at the top, unless the reader scrolls
function follow(turn) {
  if (!state.following || !turn.node.isConnected) return;
  const top = turn.node.getBoundingClientRect().top - page.conversation.getBoundingClientRect().top;
  page.conversation.scrollTop += top - 16;
}

function write(turn, text) {
  turn.written = text;
  turn.text.textContent = text;
  turn.text.classList.toggle("waiting", text === "");
  follow(turn);
}

async function ask(question) {
  if (state.running) return;
  const turn = newTurn(question);
  const running = new AbortController();
  state.running = running;
  setBusy(true);
  try {
    await streamAnswer(turn, running.signal);
  } catch (error) {
    if (error.name !== "AbortError") fail(turn, error);
    else if (turn.node.isConnected) write(turn, turn.written ? `${turn.written} … (stopped)` : "Stopped.");
  } finally {
    turn.text.setAttribute("aria-busy", "false");
    turn.text.classList.remove("streaming", "waiting");
    state.running = null;
    setBusy(false);
  }
}

function setBusy(busy) {
  page.send.classList.toggle("stop", busy);
  page.send.setAttribute("aria-label", busy ? "Stop the answer" : "Send");
}

// a connection that is cut is tried once more; a problem that the shop told is not
async function streamAnswer(turn, signal) {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    try {
      if (await streamOnce(turn, signal)) return;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    write(turn, "");
  }
  throw new Error("The connection was cut before the answer was complete.");
}

async function streamOnce(turn, signal) {
  const question = { message: turn.question, ...(state.session ? { session_id: state.session } : {}) };
  const response = await post("/v1/chat", question, { signal, headers: { accept: "text/event-stream" } });
  if (!response.ok) throw await problemOf(response);
  for await (const { event, data } of eventsOf(response.body)) {
    if (event === "token") write(turn, turn.written + data.text);
    else if (event === "replace") write(turn, data.text);
    else if (event === "error") throw new Error(data.detail);
    else if (event === "done") {
      finish(turn, data);
      return true;
    }
  }
  return false;
}

async function* eventsOf(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += decoder.decode(value, { stream: true });
    let end;
    while ((end = buffer.indexOf("\n\n")) >= 0) {
      const lines = buffer.slice(0, end).split("\n");
      buffer = buffer.slice(end + 2);
      const event = lines.find((line) => line.startsWith("event: "))?.slice(7) ?? "message";
      const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
      if (data) yield { event, data: JSON.parse(data) };
    }
  }
}

async function problemOf(response) {
  try {
    const { detail } = await response.json();
    if (detail) return new Error(detail);
  } catch {
    // not a problem document: the status has to do
  }
  return new Error(`The shop answered with status ${response.status}.`);
}

function fail(turn, error) {
  const notice = element("div", "failure");
  const retry = element("button", "retry", "Try again");
  retry.type = "button";
  retry.addEventListener("click", () => {
    turn.node.remove();
    page.message.focus();
    ask(turn.question);
  });
  notice.append(element("p", "", `Sorry, that did not work. ${error.message}`), retry);
  turn.text.replaceChildren(...(turn.written ? [turn.written] : []), notice);
  follow(turn);
  page.announcer.textContent = `Sorry, that did not work. ${error.message}`;
}

function finish(turn, answer) {
  state.session = answer.session_id;
  write(turn, answer.text);
  turn.node.querySelector(".cards").replaceChildren(...answer.products.map(card));
  const sources = turn.node.querySelector(".sources");
  sources.hidden = answer.sources.length === 0;
  sources.append(...answer.sources.map((source) => element("span", "chip", source.title)));
  const footer = turn.node.querySelector("footer");
  footer.hidden = false;
  footer.querySelector(".trace").href = `/trace/${answer.trace_id}`;
  prepareFeedback(turn, answer);
  follow(turn);
  page.announcer.textContent = answer.text;
}

// --- product cards ---

function card(product) {
  const node = element("li", "card");
  const body = element("div");
  body.append(element("h2", "", product.title));
  if (product.authors.length) body.append(element("p", "", product.authors.join(", ")));
  const age = product.age_rating === "all" ? "all ages" : product.age_rating && `ages ${product.age_rating}`;
  body.append(element("p", "", [FORMATS[product.format] ?? product.format.replaceAll("_", " "), age].filter(Boolean).join(" · ")));
  const facts = element("div", "facts");
  facts.append(
    product.price_usd === null
      ? element("span", "unknown", "Price not known")
      : element("span", "price", `$${product.price_usd.toFixed(2)}`),
    stock(product.in_stock),
  );
  body.append(facts);
  if (product.reason) body.append(element("p", "why", product.reason));
  node.append(cover(product), body);
  return node;
}

function stock(inStock) {
  if (inStock === null) return element("span", "stock unknown", "Stock not known");
  return inStock ? element("span", "stock yes", "In stock") : element("span", "stock no", "Out of stock");
}

// a cover drawn from the series' id: always the same for the same series, never a picture of somebody's work
function cover(product) {
  const seed = [...product.series_id].reduce((sum, character) => Math.imul(sum ^ character.codePointAt(0), 16777619) >>> 0, 2166136261);
  const hue = (seed >>> 3) % 360;
  const light = `hsl(${(hue + 35) % 360} 75% 78%)`;
  const svg = svgElement("svg", { class: "cover", viewBox: "0 0 88 126", "aria-hidden": "true" });
  svg.append(
    svgElement("rect", { width: 88, height: 126, fill: `hsl(${hue} 48% 30%)` }),
    MOTIFS[(seed >>> 9) % MOTIFS.length](seed, light),
    svgElement("rect", { width: 88, height: 126, fill: `hsl(${hue} 60% 12% / 26%)` }),
    svgElement("rect", { width: 5, height: 126, fill: "rgb(0 0 0 / 22%)" }),
  );
  const volume = product.title.match(/,? (?:Vol\.|Volume) (\d+)/);
  wrap(product.title.replace(/,? (?:Vol\.|Volume) \d+.*$/, ""), 11).forEach((line, index) => {
    svg.append(svgText(line, { x: 12, y: 21 + index * 12.500, "font-size": 11, "font-weight": 800 }));
  });
  if (volume) svg.append(svgText(volume[1], { x: 80, y: 117, "font-size": 24, "font-weight": 800, "text-anchor": "end" }));
  return svg;
}

const MOTIFS = [
  // a low sun
  (seed, fill) => svgElement("circle", { cx: 20 + (seed % 50), cy: 88, r: 26 + (seed % 12), fill, opacity: 0.75 }),
  // waves
  (seed, fill) => {
    const group = svgElement("g", { fill: "none", stroke: fill, "stroke-width": 3, opacity: 0.6 });
    for (let row = 0; row < 4; row += 1)
      for (let column = -1; column < 4; column += 1)
        for (const radius of [16, 9])
          group.append(svgElement("circle", { cx: column * 32 + (row % 2) * 16 + (seed % 8), cy: 78 + row * 15, r: radius }));
    return group;
  },
  // halftone
  (seed, fill) => {
    const group = svgElement("g", { fill, opacity: 0.55 });
    for (let row = 0; row < 9; row += 1)
      for (let column = 0; column < 9; column += 1)
        group.append(svgElement("circle", { cx: column * 11 + (row % 2) * 5.500, cy: 56 + row * 9, r: 0.6 + row * 0.5 }));
    return group;
  },
  // speed lines
  (seed, fill) => {
    const group = svgElement("g", { fill, opacity: 0.5 });
    const x = 24 + (seed % 40);
    for (let turn = 0; turn < 24; turn += 1) {
      const [from, to] = [(turn * 15 * Math.PI) / 180, ((turn * 15 + 5) * Math.PI) / 180];
      const at = (angle, radius) => `${x + radius * Math.cos(angle)} ${84 + radius * Math.sin(angle)}`;
      group.append(svgElement("path", { d: `M${at((from + to) / 2, 20)}L${at(from, 150)} ${at(to, 150)}Z` }));
    }
    return group;
  },
];

function svgElement(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function svgText(content, attributes) {
  const node = svgElement("text", { fill: "#fff", "paint-order": "stroke", stroke: "rgb(0 0 0 / 30%)", "stroke-width": 1.500, ...attributes });
  node.textContent = content;
  return node;
}

function wrap(text, width) {
  const lines = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word.length > width ? `${word.slice(0, width - 1)}…` : word);
  }
  return lines.slice(0, 4);
}

// --- feedback ---

function prepareFeedback(turn, answer) {
  const form = turn.node.querySelector(".reason");
  const [up, down] = turn.node.querySelectorAll(".thumb");
  form.querySelector(".choices").append(
    ...REASONS.map(([code, label]) => {
      const node = element("label", "", label);
      const input = Object.assign(element("input"), { type: "radio", name: "reason", value: code });
      node.prepend(input);
      return node;
    }),
  );
  up.addEventListener("click", () => {
    form.hidden = true;
    sendFeedback(turn, answer, up, { feedback: "thumbs_up" });
  });
  down.addEventListener("click", () => {
    form.hidden = !form.hidden;
    if (form.hidden) return;
    form.querySelector("input").focus({ preventScroll: true });
    form.scrollIntoView({ block: "nearest" });
  });
  form.querySelector(".cancel").addEventListener("click", () => {
    form.hidden = true;
    down.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = form.querySelector("input[name=reason]:checked")?.value ?? "other";
    const comment = form.elements.comment.value.trim();
    const rating = { feedback: "thumbs_down", reason_code: reason, ...(comment ? { comment } : {}) };
    form.hidden = await sendFeedback(turn, answer, down, rating);
    if (form.hidden) down.focus();
  });
}

async function sendFeedback(turn, answer, button, rating) {
  const thanks = turn.node.querySelector(".thanks");
  try {
    const response = await post("/v1/feedback", { response_id: answer.response_id, trace_id: answer.trace_id, ...rating });
    if (!response.ok) throw await problemOf(response);
  } catch (error) {
    thanks.className = "thanks failed";
    thanks.textContent = `That could not be sent. ${error.message}`;
    return false;
  }
  for (const other of turn.node.querySelectorAll(".thumb")) other.setAttribute("aria-pressed", String(other === button));
  thanks.className = "thanks";
  thanks.textContent = "Thank you!";
  return true;
}

// --- the page itself ---

function restart() {
  state.running?.abort();
  state.session = null;
  page.turns.replaceChildren();
  page.welcome.hidden = false;
  page.restart.hidden = true;
  page.message.focus();
}

async function loadCustomers() {
  const [offered, known] = await Promise.all([fetch("/v1/demo/customers"), fetch("/v1/session")]);
  if (!offered.ok) return;
  const { customers } = await offered.json();
  page.customer.append(new Option("Visitor", ""));
  const group = Object.assign(element("optgroup"), { label: "Demo customers (invented)" });
  for (const { name, member, customer_id: id } of customers) group.append(new Option(`Demo: ${name}${member ? " · Club" : ""}`, id));
  page.customer.append(group);
  if (known.ok) page.customer.value = (await known.json()).customer_id ?? "";
  page.customer.hidden = false;
}

async function becomeCustomer() {
  restart();
  const id = page.customer.value;
  const response = id ? await post("/v1/demo/login", { customer_id: id }) : await fetch("/v1/session", { method: "DELETE" });
  if (!response.ok) page.customer.value = "";
  page.announcer.textContent = page.customer.value ? `Signed in as ${page.customer.selectedOptions[0].text}.` : "You are a visitor.";
}

function fit() {
  page.message.style.height = "auto";
  page.message.style.height = `${page.message.scrollHeight}px`;
}

for (const question of STARTERS) {
  const item = element("li");
  const button = element("button", "", question);
  button.type = "button";
  button.addEventListener("click", () => {
    page.message.focus();
    ask(question);
  });
  item.append(button);
  page.starters.append(item);
}
page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (state.running) {
    state.running.abort();
    return;
  }
  const question = page.message.value.trim();
  if (!question) return;
  page.message.value = "";
  fit();
  ask(question);
});
page.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!state.running) page.form.requestSubmit();
  }
});
page.message.addEventListener("input", fit);
for (const event of ["wheel", "touchmove"]) {
  page.conversation.addEventListener(event, () => { state.following = false; }, { passive: true });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") state.running?.abort();
});
page.restart.addEventListener("click", restart);
page.customer.addEventListener("change", becomeCustomer);
loadCustomers();
if (matchMedia("(hover: hover)").matches) page.message.focus();
