// Sorts the pages of the API reference by the file that a thing comes from, so that no comment needs a tag for it, and
// gives the entry points the names by which they are imported.
import { CommentTag, Converter, ReflectionKind } from "typedoc";

const MODULES = {
  index: "chainrule",
  data: "chainrule/data",
  "data/node": "chainrule/data/node",
  explain: "chainrule/explain",
  webgpu: "chainrule/webgpu",
};

/** The first that fits. */
const CATEGORIES = [
  [/src\/errors/, "Errors"],
  [/src\/random/, "Random numbers"],
  [/src\/nn\/layers?[./]/, "Layers"],
  [/src\/nn\/activations/, "Activations"],
  [/src\/nn\/losses/, "Losses"],
  [/src\/nn\/initializers/, "Initialisers"],
  [/src\/(nn\/|train\/(model|summary|door|inputs))/, "Models"],
  [/src\/train\/metrics/, "Metrics"],
  [/src\/train\/functional/, "Functions and their gradients"],
  [/src\/train\/(health|gradcheck|find-learning-rate|diagnose)/, "Diagnosis"],
  [/src\/train/, "Training"],
  [/src\/optim\/schedules/, "Learning-rate schedules"],
  [/src\/optim/, "Optimisers"],
  [/src\/ops/, "Ops"],
  [/src\/(graph|plan)/, "Graphs"],
  [/src\/backends/, "Backends"],
  [/src\/data\/(toy|iris)/, "Data sets to try things on"],
  [/src\/data\/(csv|table|schema|encoder|cells|node\/table)/, "Tables"],
  [/src\/data\/(images?|augment|png|jpeg|node\/images)/, "Images"],
  [/src\/data\/(idx|npy|safetensors|node\/(idx|npy|files))/, "Files"],
  [/src\/data/, "Data sets"],
  [/src\/explain\/formula/, "Formulas"],
  [/src\/explain\/report/, "Reports"],
  [/src\/explain\/(recorder|cursor)/, "Rewinding"],
  [/src\/explain/, "Explaining"],
];

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
      module.name = MODULES[module.name] ?? module.name;
      for (const child of module.children ?? []) {
        const path = project.getSymbolIdFromReflection(child)?.fileName ?? "";
        const category = CATEGORIES.find(([pattern]) => pattern.test(path))?.[1];
        if (category === undefined) continue;
        // Of a function, the signature's comment counts.
        for (const { comment } of [child, ...(child.signatures ?? [])]) tag(comment, category);
      }
    }
  });
}

function tag(comment, category) {
  comment?.blockTags.push(new CommentTag("@category", [{ kind: "text", text: category }]));
}
