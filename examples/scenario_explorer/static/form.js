// A form for a job type: a field for each input (a file) and for each simple parameter.

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// `pointer` is the place in the request that problems name: /inputs/workbook, /params/sheet
function field(pointer, title, hint, control) {
  const box = make("div", "", { class: "field", "data-pointer": pointer });
  const id = pointer.slice(1).replaceAll("/", "-");
  control.id = id;
  box.append(make("label", title, { for: id }), control);
  if (hint) box.append(make("p", hint, { class: "hint" }));
  return box;
}

function fileField(input) {
  const control = make("input", "", { type: "file", name: input.name });
  const accepted = input.suffixes.join(", ");
  const hint = [input.description, accepted && `Accepted: ${accepted}.`].filter(Boolean).join(" ");
  return field(`/inputs/${input.name}`, input.title + (input.required ? " *" : ""), hint, control);
}

function paramField(name, schema) {
  let control;
  if (schema.enum) {
    control = make("select");
    for (const value of ["", ...schema.enum]) control.append(make("option", String(value)));
  } else if (schema.type === "boolean") {
    control = make("input", "", { type: "checkbox" });
    control.defaultChecked = schema.default === true;
  } else if (["string", "integer", "number"].includes(schema.type)) {
    control = make("input", "", { type: schema.type === "string" ? "text" : "number", step: "any" });
    if (schema.default !== undefined) control.setAttribute("placeholder", schema.default);
  } else {
    return null; // lists and objects need a form of their own
  }
  control.dataset.kind = schema.type ?? "string";
  return field(`/params/${name}`, schema.title ?? name, schema.description, control);
}

export function drawForm(place, type) {
  const params = Object.entries(type.params?.properties ?? {});
  const fields = [...type.inputs.map(fileField), ...params.map(([n, schema]) => paramField(n, schema))];
  place.replaceChildren(...fields.filter(Boolean));
}

export function readForm(place, type) {
  const form = new FormData();
  const params = {};
  for (const box of place.children) {
    const [, kind, name] = box.dataset.pointer.split("/");
    const control = box.querySelector("input, select");
    if (kind === "inputs") continue;
    if (control.type === "checkbox") params[name] = control.checked;
    else if (control.value !== "")
      params[name] = control.dataset.kind === "string" ? control.value : Number(control.value);
  }
  form.append("params", JSON.stringify(params));
  for (const input of type.inputs) {
    const [file] = place.querySelector(`[data-pointer="/inputs/${input.name}"] input`).files;
    if (file) form.append(input.name, file);
  }
  return form;
}

export function clearRefusal(form, refusal) {
  refusal.hidden = true;
  for (const box of form.querySelectorAll(".wrong")) box.classList.remove("wrong");
  for (const line of form.querySelectorAll(".problem")) line.remove();
}

// Puts each problem beside its field; what belongs to none stands above the button.
export function showRefusal(form, refusal, status, body) {
  const left = [];
  for (const { pointer, message } of body?.problems ?? []) {
    const [, kind, name] = (pointer ?? "").split("/");
    const box = form.querySelector(`[data-pointer="/${CSS.escape(kind)}/${CSS.escape(name ?? "")}"]`);
    if (!box) {
      left.push(message);
      continue;
    }
    box.classList.add("wrong");
    box.append(make("p", message, { class: "problem" }));
  }
  const said = body?.problems?.length ? left : [body?.detail ?? "The application does not answer."];
  refusal.textContent = said.join(" ") || "Please look at the fields above.";
  refusal.hidden = false;
}
