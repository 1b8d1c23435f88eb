// Compiles every schema of the document in ajv's strict mode, and judges its examples.
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
// OpenAPI's own keywords around the schemas are no business of a JSON Schema validator.
const ajv = new Ajv({ strict: true, allErrors: true, validateFormats: true });
formats(ajv);
ajv.addVocabulary(Object.keys(document));
ajv.addSchema(document, "api");
let faults = 0;
const pointer = (parts) => "api#" + parts.map((part) => "/" + encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1"))).join("");
const judge = (parts, examples) => {
  try {
    const validate = ajv.compile({ $ref: pointer(parts) });
    for (const example of examples)
      if (!validate(example)) throw new Error(ajv.errorsText(validate.errors));
  } catch (error) {
    faults += 1;
    console.error(`${parts.join("/")}: ${error.message}`);
  }
};
// Beside a schema stand its example, or several by name, which may be references.
const shown = ({ example, examples = {} }) => [
  ...(example === undefined ? [] : [example]),
  ...Object.values(examples).map((one) => (one.$ref ? document.components.examples[one.$ref.split("/").pop()] : one).value),
];
const walk = (node, parts) => {
  if (node === null || typeof node !== "object") return;
  for (const [name, part] of Object.entries(node)) {
    if (name === "schema") judge([...parts, name], [...(part.examples ?? []), ...shown(node)]);
    if (name !== "example" && name !== "examples") walk(part, [...parts, name]);
  }
};
let count = 0;
for (const [name, schema] of Object.entries(document.components.schemas)) {
  count += 1;
  judge(["components", "schemas", name], schema.examples ?? []);
}
walk(document.paths, ["paths"]);
walk(document.webhooks, ["webhooks"]);
walk(document.components.responses, ["components", "responses"]);
if (count === 0) throw new Error("the document has no schemas");
console.log(`${count} schemas compiled, ${faults} faults`);
process.exitCode = faults ? 1 : 0;
