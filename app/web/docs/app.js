// /docs: what /openapi.json says, as a page. Every text is set as text; nothing comes from another machine.
import { bodyExample, callsOf, curl, groupsOf, kindOf, matches, resolve } from "./document.js";

//: How deep fields of fields are shown: deeper ones are rare, and a schema may hold itself.
const DEPTH_MAX = 5;

function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const code = (text) => make("code", {}, text);

function fields(spec, schema, depth = 0) {
  const whole = resolve(spec, schema);
  if (depth > DEPTH_MAX) return null;
  const choices = whole.oneOf ?? whole.anyOf;
  if (choices) {
    const inner = choices.filter((one) => resolve(spec, one).type !== "null");
    if (inner.length === 1) return fields(spec, inner[0], depth);
    const parts = inner.map((one) => make("li", {}, make("span", { class: "kind" }, `either ${kindOf(spec, one)}`), fields(spec, one, depth + 1) ?? ""));
    return make("ul", {}, ...parts);
  }
  if (whole.allOf) return make("div", {}, ...whole.allOf.map((one) => fields(spec, one, depth) ?? ""));
  if (whole.items) return fields(spec, whole.items, depth);
  const named = Object.entries(whole.properties ?? {});
  if (named.length === 0) return null;
  const needed = new Set(whole.required ?? []);
  return make("ul", {}, ...named.map(([name, inner]) => field(spec, name, inner, needed.has(name), depth)));
}

function field(spec, name, schema, isNeeded, depth) {
  const whole = resolve(spec, schema);
  const notes = [isNeeded ? "needed" : "", whole.default !== undefined ? `default ${JSON.stringify(whole.default)}` : "", whole.description ?? ""];
  return make("li", {}, code(name), " ", make("span", { class: "kind" }, kindOf(spec, schema)), " ",
    make("span", { class: "note" }, notes.filter(Boolean).join(" · ")), fields(spec, schema, depth + 1) ?? "");
}

function parameters(spec, call) {
  if (call.parameters.length === 0) return null;
  const rows = call.parameters.map((one) => make("tr", {}, make("td", {}, code(one.name)), make("td", {}, one.in),
    make("td", {}, [kindOf(spec, one.schema), one.required ? "needed" : "", one.description ?? ""].filter(Boolean).join(" · "))));
  const head = make("tr", {}, ...["Parameter", "Where", "What"].map((text) => make("th", { scope: "col" }, text)));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

function content(spec, title, body) {
  const [media, { schema }] = Object.entries(body.content ?? {})[0] ?? [null, {}];
  const kinds = Object.keys(body.content ?? {}).join(", ");
  const note = media === null ? (body.description ?? "") : `${kinds}${schema ? `: ${kindOf(spec, schema)}` : ""}`;
  return make("section", {}, make("h3", {}, title), make("p", { class: "note" }, note), schema ? (fields(spec, schema) ?? "") : "");
}

function detail(spec, call) {
  const parts = [call.description ? make("p", {}, call.description) : null, parameters(spec, call)];
  if (call.requestBody) {
    parts.push(content(spec, "Body", call.requestBody));
  }
  parts.push(make("h3", {}, "With curl"), make("pre", {}, code(curl(spec, call, location.origin, bodyExample(spec, call)))));
  for (const [status, answer] of Object.entries(call.responses)) {
    parts.push(content(spec, status === "default" ? "A problem (any other status)" : `Answer ${status}`, answer));
  }
  return make("div", {}, ...parts.filter((part) => part !== null));
}

function shown(spec, call) {
  const node = make("details", { class: "call", id: call.id }, make("summary", {}, make("span", { class: "method" }, call.method),
    make("span", { class: "path" }, call.path), make("span", { class: "what" }, call.summary)));
  const open = () => node.childElementCount === 1 && node.append(detail(spec, call));
  node.addEventListener("toggle", () => {
    if (node.open) {
      open();
      history.replaceState(null, "", `#${call.id}`);
    }
  });
  return node;
}

function openNamed() {
  const node = document.getElementById(location.hash.slice(1));
  if (node?.tagName === "DETAILS") {
    node.open = true;
    node.scrollIntoView();
  }
}

async function start() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answers ${answer.status}`);
  const spec = await answer.json();
  const calls = callsOf(spec);
  const nodes = new Map(calls.map((call) => [call, shown(spec, call)]));
  const sections = groupsOf(calls).map(([name, group]) => make("section", {}, make("h2", {}, name), ...group.map((call) => nodes.get(call))));
  document.getElementById("calls").replaceChildren(...sections);
  const find = document.getElementById("find");
  const filter = () => {
    let count = 0;
    for (const [call, node] of nodes) {
      node.hidden = !matches(call, find.value);
      count += !node.hidden;
    }
    for (const section of sections) section.hidden = [...section.querySelectorAll("details.call")].every((node) => node.hidden);
    document.getElementById("count").textContent = `${count} calls`;
  };
  find.addEventListener("input", filter);
  filter();
  addEventListener("hashchange", openNamed);
  openNamed();
}

start().catch((error) => {
  document.getElementById("count").textContent = `The calls cannot be shown: ${error.message}`;
});
