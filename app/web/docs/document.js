// What /openapi.json holds, as the page needs it. No DOM here.

const METHODS = ["get", "post", "put", "patch", "delete"];
//: The groups of calls, in order: what a path holds.
const GROUPS = [
  ["Grants and corrections", /\/(grants|corrections)(\/|$)/], ["Boards", /\/(boards|stats|ranks)(\/|$)/], ["Users", /\/(users|totals|activity|standings)(\/|$)/],
  ["Namespaces", /\/namespaces/], ["Keys and tokens", /\/(keys|tokens)(\/|$)/], ["Webhooks", /\/webhooks/], ["Around it", /./],
];

/** What a `$ref` stands for; else the schema itself. */
export function resolve(spec, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? (spec.components.schemas[name] ?? {}) : (schema ?? {});
}

/** Every call of the document: its method, path, parameters, body and answers. */
export function callsOf(spec) {
  return Object.entries(spec.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method]).map((method) => ({
    ...methods[method], method: method.toUpperCase(), path, parameters: methods[method].parameters ?? [],
    id: `${method}${path}`.replaceAll(/[^a-z0-9]+/gi, "-").replaceAll(/-$/g, ""),
  })));
}

/** The calls in groups by what they are about, each in the order of the document. */
export function groupsOf(calls) {
  const groups = GROUPS.map(([name]) => [name, []]);
  for (const call of calls) groups[GROUPS.findIndex(([, form]) => form.test(call.path))][1].push(call);
  return groups.filter(([, group]) => group.length > 0);
}

/** A schema in few words: `number`, `array of Grant`, `string or null`, `fsync | replica`. */
export function kindOf(spec, schema) {
  if (schema === undefined) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.map((one) => kindOf(spec, one)).join(" or ");
  if (schema.type === "array") return `array of ${kindOf(spec, schema.items) || "anything"}${schema.maxItems ? `, at most ${schema.maxItems}` : ""}`;
  const type = Array.isArray(schema.type) ? schema.type.join(" or ") : (schema.type ?? "");
  const bounds = [["minimum", "from"], ["maximum", "to"], ["format", "as"]].filter(([name]) => schema[name] !== undefined);
  return [type, ...bounds.map(([name, word]) => `${word} ${schema[name]}`)].join(" ");
}

/** A body to begin with: the document's example, else the needed fields. Undefined without a body. */
export function bodyExample(spec, call) {
  const media = call.requestBody?.content?.["application/json"];
  if (!media) return undefined;
  const given = media.example ?? Object.values(media.examples ?? {})[0]?.value;
  return given ?? sample(spec, media.schema);
}

function sample(spec, schema, depth = 0) {
  const whole = resolve(spec, schema);
  const choice = (whole.oneOf ?? whole.anyOf)?.[0];
  if (choice) return sample(spec, choice, depth);
  if (whole.examples?.length) return whole.examples[0];
  if (whole.enum) return whole.enum[0];
  if (whole.type === "array") return depth > 3 ? [] : [sample(spec, whole.items, depth + 1)];
  if (whole.type === "object" || whole.properties) {
    return Object.fromEntries((whole.required ?? []).map((name) => [name, sample(spec, whole.properties[name], depth + 1)]));
  }
  return { integer: 1, number: 1, boolean: true }[whole.type] ?? "…";
}

/** The call as a line for a shell, with `$KEY` for the key. */
export function curl(spec, call, origin, body) {
  const path = call.path.replaceAll(/{(\w+)}/g, (_, name) => name.toUpperCase());
  const method = call.method === (body === undefined ? "GET" : "POST") ? "" : ` -X ${call.method}`;
  const lines = [`curl${method} ${origin}${path} -H "Authorization: Bearer $KEY"`];
  if (body !== undefined) lines.push(`  -H "Content-Type: application/json" -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n");
}

/** Whether all words of a search stand in a call. */
export function matches(call, text) {
  const haystack = `${call.method} ${call.path} ${call.summary ?? ""} ${call.parameters.map((one) => one.name).join(" ")}`.toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => haystack.includes(word));
}
