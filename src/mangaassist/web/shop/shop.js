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

const state = { session: null, customerToken: null, running: null };

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function headers() {
  const out = { "content-type": "application/json" };
  if (state.customerToken) out.authorization = `Bearer ${state.customerToken}`;
  return out;
}

// --- one turn ---

function newTurn(question) {
  page.welcome.hidden = true;
  const node = page.template.content.firstElementChild.cloneNode(true);
  node.querySelector(".question p").textContent = question;
  page.turns.append(node);
  const text = node.querySelector(".text");
  text.classList.add("waiting");
  scrollToEnd();
  return { node, text, written: "" };
}

function scrollToEnd() {
  page.conversation.scrollTop = page.conversation.scrollHeight;
}

function write(turn, text) {
  turn.text.classList.remove("waiting");
  turn.written = text;
  turn.text.textContent = text;
  scrollToEnd();
}

async function ask(question) {
  if (state.running) return;
  const turn = newTurn(question);
  state.running = new AbortController();
  page.send.disabled = true;
  try {
    await streamOnce(turn, question, state.running.signal, 1);
  } catch (error) {
    if (error.name === "AbortError") {
      write(turn, turn.written ? `${turn.written} …` : "Stopped.");
    } else {
      fail(turn, question, error);
    }
  } finally {
    turn.text.setAttribute("aria-busy", "false");
    turn.text.classList.remove("waiting");
    state.running = null;
    page.send.disabled = false;
  }
}

async function streamOnce(turn, question, signal, retries) {
  const response = await fetch("/v1/chat", {
    method: "POST",
    headers: { ...headers(), accept: "text/event-stream" },
    body: JSON.stringify({ message: question, ...(state.session ? { session_id: state.session } : {}) }),
    signal,
  });
  if (!response.ok) throw await problemOf(response);
  let finished = false;
  for await (const { event, data } of events(response.body)) {
    if (event === "token") write(turn, turn.written + data.text);
    else if (event === "replace") write(turn, data.text);
    else if (event === "error") throw Object.assign(new Error(data.detail), { problem: data });
    else if (event === "done") {
      finished = true;
      done(turn, data);
    }
  }
  if (finished) return;
  if (retries > 0 && !turn.written) return streamOnce(turn, question, signal, retries - 1);
  throw new Error("The connection was cut before the answer was complete.");
}

async function* events(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let buffer = "";
  for (;;) {
    const { value, done: ended } = await reader.read();
    if (ended) return;
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
  let detail = `The shop answered with status ${response.status}.`;
  try {
    detail = (await response.json()).detail ?? detail;
  } catch {
    // not a problem document: the status has to do
  }
  if (response.status === 401 && state.customerToken) {
    state.customerToken = null;
    page.customer.value = "";
    detail = "Your demo sign-in has expired; you are a visitor again.";
  }
  return new Error(detail);
}

function fail(turn, question, error) {
  turn.text.classList.add("error");
  write(turn, `Sorry, that did not work. ${error.message}`);
  const retry = element("button", "retry", "Try again");
  retry.type = "button";
  retry.addEventListener("click", () => {
    turn.node.remove();
    ask(question);
  });
  turn.text.append(retry);
}

function done(turn, answer) {
  state.session = answer.session_id;
  write(turn, answer.text);
  turn.node.querySelector(".cards").replaceChildren(...answer.products.map(card));
  const sources = turn.node.querySelector(".sources");
  sources.hidden = answer.sources.length === 0;
  for (const source of answer.sources) sources.append(element("span", "chip", source.title));
  const footer = turn.node.querySelector("footer");
  footer.hidden = false;
  footer.querySelector(".trace").href = `/trace/${answer.trace_id}`;
  for (const button of footer.querySelectorAll(".thumb")) {
    button.addEventListener("click", () => rate(turn, answer, button));
  }
  page.announcer.textContent = answer.text;
  scrollToEnd();
}

// --- product cards ---

function card(product) {
  const node = element("li", "card");
  const body = element("div");
  body.append(element("h3", "", product.title));
  if (product.authors.length) body.append(element("p", "", product.authors.join(", ")));
  const facts = [product.format, product.age_rating && product.age_rating !== "all" ? `ages ${product.age_rating}` : null];
  body.append(element("p", "", facts.filter(Boolean).join(" · ").replace("_", " ")));
  body.append(element("p", "price", product.price_usd === null ? "Price not known" : `$${product.price_usd.toFixed(2)}`));
  const stock = { true: ["stock-yes", "In stock"], false: ["stock-no", "Out of stock"], null: ["", "Stock not known"] };
  const [className, text] = stock[String(product.in_stock)];
  body.append(element("p", className, text));
  node.append(cover(product), body);
  return node;
}

function cover(product) {
  const seed = [...product.series_id].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) >>> 0, 7);
  const hue = seed % 360;
  const svg = svgElement("svg", { class: "cover", viewBox: "0 0 74 104", "aria-hidden": "true" });
  const gradient = svgElement("linearGradient", { id: `g${seed}`, x1: 0, y1: 0, x2: 1, y2: 1 });
  gradient.append(
    svgElement("stop", { offset: 0, "stop-color": `hsl(${hue} 58% 42%)` }),
    svgElement("stop", { offset: 1, "stop-color": `hsl(${(hue + 50) % 360} 62% 24%)` }),
  );
  const radius = 18 + (seed % 17);
  svg.append(
    gradient,
    svgElement("rect", { width: 74, height: 104, rx: 5, fill: `url(#g${seed})` }),
    svgElement("circle", { cx: 20 + (seed % 40), cy: 66, r: radius, fill: `hsl(${(hue + 180) % 360} 70% 80% / 28%)` }),
    svgElement("path", { d: "M0 84 L74 62 V104 H0 Z", fill: "rgb(0 0 0 / 22%)" }),
  );
  wrap(product.title.replace(/, Vol\..*$/, ""), 11).slice(0, 4).forEach((line, index) => {
    const text = svgElement("text", { x: 7, y: 19 + index * 12, "font-size": 10, "font-weight": 700, fill: "#fff" });
    text.textContent = line;
    svg.append(text);
  });
  const volume = product.title.match(/Vol\. (\d+)/);
  if (volume) {
    const text = svgElement("text", { x: 67, y: 98, "font-size": 15, "font-weight": 800, fill: "#fff", "text-anchor": "end" });
    text.textContent = volume[1];
    svg.append(text);
  }
  return svg;
}

function svgElement(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function wrap(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (!last) lines[lines.length - 1] = word;
    else if (last.length + word.length < width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => (line.length > width + 2 ? `${line.slice(0, width)}…` : line));
}

// --- feedback ---

async function rate(turn, answer, button) {
  for (const other of turn.node.querySelectorAll(".thumb")) other.setAttribute("aria-pressed", String(other === button));
  if (button.dataset.value === "thumbs_up") {
    turn.node.querySelector(".reason").hidden = true;
    await sendFeedback(turn, answer, { feedback: "thumbs_up" });
    return;
  }
  const form = turn.node.querySelector(".reason");
  if (!form.dataset.ready) prepareReasons(form, turn, answer);
  form.hidden = false;
  form.querySelector("input").focus();
}

function prepareReasons(form, turn, answer) {
  form.dataset.ready = "yes";
  const choices = form.querySelector(".choices");
  for (const [code, label] of REASONS) {
    const node = element("label", "", label);
    const input = element("input");
    Object.assign(input, { type: "radio", name: "reason", value: code });
    node.prepend(input);
    choices.append(node);
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = form.querySelector("input[name=reason]:checked")?.value ?? "other";
    const comment = form.elements.comment.value.trim();
    const sent = await sendFeedback(turn, answer, {
      feedback: "thumbs_down",
      reason_code: reason,
      ...(comment ? { comment } : {}),
    });
    form.hidden = sent;
  });
}

async function sendFeedback(turn, answer, feedback) {
  const thanks = turn.node.querySelector(".thanks");
  thanks.hidden = false;
  try {
    const response = await fetch("/v1/feedback", {
      method: "POST",
      headers: headers(),
      body: JSON.stringify({ response_id: answer.response_id, trace_id: answer.trace_id, ...feedback }),
    });
    if (!response.ok) throw await problemOf(response);
    thanks.textContent = "Thank you, noted.";
    return true;
  } catch (error) {
    thanks.textContent = `Your feedback could not be sent. ${error.message}`;
    return false;
  }
}

// --- the page itself ---

function restart() {
  state.running?.abort();
  state.session = null;
  page.turns.replaceChildren();
  page.welcome.hidden = false;
  page.message.focus();
}

async function loadCustomers() {
  const response = await fetch("/v1/demo/customers");
  if (!response.ok) return;
  const { customers } = await response.json();
  page.customer.append(new Option("Visitor (demo)", ""));
  for (const customer of customers) {
    page.customer.append(new Option(`${customer.name}${customer.member ? " · Club" : ""} (demo)`, customer.customer_id));
  }
  page.customer.hidden = false;
}

async function becomeCustomer() {
  restart();
  if (!page.customer.value) {
    state.customerToken = null;
    return;
  }
  const response = await fetch("/v1/demo/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ customer_id: page.customer.value }),
  });
  state.customerToken = response.ok ? (await response.json()).token : null;
}

function fit() {
  page.message.style.height = "auto";
  page.message.style.height = `${page.message.scrollHeight + 2}px`;
}

for (const question of STARTERS) {
  const item = element("li");
  const button = element("button", "", question);
  button.type = "button";
  button.addEventListener("click", () => ask(question));
  item.append(button);
  page.starters.append(item);
}
page.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = page.message.value.trim();
  if (!question || state.running) return;
  page.message.value = "";
  fit();
  ask(question);
});
page.message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    page.form.requestSubmit();
  }
});
page.message.addEventListener("input", fit);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") state.running?.abort();
});
page.restart.addEventListener("click", restart);
page.customer.addEventListener("change", becomeCustomer);
loadCustomers();
page.message.focus();
